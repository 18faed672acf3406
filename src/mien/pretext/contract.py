"""What every self-supervised objective answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import Tensor, nn

from mien.models.contract import Encoder
from mien.models.specification import Inputs

if TYPE_CHECKING:
    from mien.data.dataset import Transform
    from mien.data.manifest import Row
    from mien.data.settings import AugmentationSettings


class ClipExtras(Protocol):
    """Adds what a pretext needs beside each clip (a mask, what was heard), in the loader.

    The draw is a pure function of the generator, the item and the row, so it is the same for any number of workers.
    Instances are small and can be pickled.
    """

    def __call__(self, rng: np.random.Generator, item: Mapping[str, Tensor], row: Row) -> dict[str, Tensor]:
        """Entries to add to ``item`` (one clip: ``video`` ``(C, T, H, W)``, ``times`` ``(T,)``, ...) before collation.

        Raises:
            MienError: what it needs of this clip is not there; the clip then counts as unreadable.
        """
        ...


@dataclass(frozen=True)
class Moment:
    """Where training stands before a step: ``step`` optimiser steps are done of ``total``, ``per_epoch`` an epoch."""

    step: int
    total: int
    per_epoch: int

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.step // self.per_epoch


class Pretext(nn.Module):
    """A self-supervised objective that owns the encoder it trains.

    Everything that must survive a kill lies in its parameters and buffers, or follows from the ``Moment``.

    Attributes:
        encoder: what is handed over to fine-tuning.
        extras: what the loader adds to each clip; None where the batch needs nothing more.
    """

    encoder: Encoder
    extras: ClipExtras | None = None

    def reads(self, inputs: Inputs) -> Inputs:
        """What the loader reads for this objective, given what the encoder takes: the same unless it needs more."""
        return inputs

    def transform(self, inputs: Inputs, augmentation: AugmentationSettings) -> Transform | None:
        """How the loader makes tensors of a clip; None: one clip under the recipe's augmentation."""
        return None

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss of a batch, and further detached scalars worth logging."""
        raise NotImplementedError

    def before_step(self, moment: Moment) -> None:
        """Called before the forward passes of every optimiser step: schedules. Nothing by default."""

    def before_update(self, moment: Moment) -> None:
        """Called once gradients are there and clipped, before the optimiser uses them. Nothing by default."""

    def after_step(self, moment: Moment) -> None:
        """Called after the optimiser step that ``moment`` stood before: teachers, centres. Nothing by default."""

    def trouble(self, values: Mapping[str, float]) -> str | None:
        """What is wrong with a run whose scalars lately had these means (see ``mien.pretext.collapse``), and what to
        try, in one line; None where nothing is."""
        return None

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that are never decayed, besides 1-D tensors and biases."""
        return {f"encoder.{name}" for name in self.encoder.no_weight_decay()}
