"""What every task answers: its head, loss, reading of outputs, merging of views, and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.models.contract import Encoder, Recogniser
from mien.models.specification import TaskConfig


class Task:
    """What is predicted and how it is judged.

    A task is built from a ``TaskConfig`` (stored in the Specification), so a loaded bundle judges and prints exactly
    as the run that made it.

    Attributes:
        config: the data that defines this task.
        kind: name under which recipes ask for it.
    """

    kind: ClassVar[str]

    def __init__(self, config: TaskConfig) -> None:
        self.config = config

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names in index order where the truth is one of them; None where the truth is numbers."""
        return None

    @property
    def bins(self) -> int | None:
        """Equal bins over -1..1 that values are also told as (``details``); None where they are not."""
        return None

    @property
    def per_group(self) -> bool:
        """True where outputs of all clips of a group (a manifest's column ``group``) are averaged and judged once."""
        return False

    def target_columns(self) -> tuple[str, ...]:
        """Manifest columns that hold the truth (for per-frame tasks: the label file's columns)."""
        raise NotImplementedError

    def make_head(self, encoder: Encoder) -> nn.Module:
        """Head module: called as ``head(features: Features, inputs: ModelInputs) -> Tensor``."""
        raise NotImplementedError

    def make_model(self, encoder: Encoder) -> Recogniser:
        """Encoder and head together."""
        return Recogniser(encoder, self.make_head(encoder))

    def loss(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Scalar loss; ``batch["target"]`` holds the truth, NaN or -100 marks what is not labelled."""
        raise NotImplementedError

    def read(self, outputs: Tensor) -> Tensor:
        """Raw outputs → what users get: probabilities or values, same leading shape, one column per ``columns()``."""
        raise NotImplementedError

    def details(self, outputs: Tensor) -> Tensor | None:
        """What ``read`` leaves out and a report shows (probabilities of bins), ``(..., E)``; None where nothing is."""
        return None

    def digest(self, merged: NDArray[np.float64]) -> NDArray[np.float64]:
        """What judging keeps of ``read`` and ``details`` side by side, ``(..., K + E)``, once views are merged.

        The first K columns stay as they are; details shrink to what the figures need, since they are kept for every
        frame of a corpus.
        """
        return merged

    def columns(self) -> tuple[str, ...]:
        """Names of the columns of ``read``."""
        return self.config.outputs

    def merge(self, views: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average of several views of one clip: ``(V, ...)`` as given by ``read`` → ``(...)``."""
        merged: NDArray[np.float64] = views.mean(axis=0)
        return merged

    def metrics(self) -> tuple[str, ...]:
        """Names of metrics in ``mien.evaluation.metrics``; the first one selects checkpoints (higher is better)."""
        raise NotImplementedError
