"""What every self-supervised objective answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from mien.models.contract import Encoder


class ClipExtras(Protocol):
    """Draws what a pretext needs beside each clip (for example a mask), in the loader.

    The draw is a pure function of the generator and the item, so it is the same for any number of workers.
    Instances are small and can be pickled.
    """

    def __call__(self, rng: np.random.Generator, item: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Entries to add to ``item`` (one clip: ``video`` ``(C, T, H, W)``, ...) before collation."""
        ...


class Pretext(nn.Module):
    """A self-supervised objective that owns the encoder it trains.

    Attributes:
        encoder: what is handed over to fine-tuning.
        extras: what the loader draws for each clip; None where the batch needs nothing more.
    """

    encoder: Encoder
    extras: ClipExtras | None = None

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss of a batch, and further detached scalars worth logging."""
        raise NotImplementedError

    def after_step(self, step: int, total: int) -> None:
        """Called after every optimiser step (``step`` of ``total``): teachers, schedules. Nothing by default."""

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that are never decayed, besides 1-D tensors and biases."""
        return {f"encoder.{name}" for name in self.encoder.no_weight_decay()}
