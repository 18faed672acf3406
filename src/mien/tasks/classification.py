"""One of K classes per clip, or per frame."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from mien.errors import UsageError
from mien.models.contract import Encoder
from mien.models.specification import TaskConfig
from mien.tasks.contract import Task
from mien.tasks.heads import make_head
from mien.tasks.losses import cross_entropy
from mien.tasks.options import HeadOptions, read_options


class ClassificationOptions(HeadOptions):
    """Options of ``classification``.

    Attributes:
        target: manifest column (per frame: column of the label file) with class names or ids.
        label_smoothing: see ``mien.tasks.losses.cross_entropy``.
        class_weights: one weight per class in the loss; None: all count the same.
    """

    target: str = "label"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    class_weights: tuple[float, ...] | None = None


class Classification(Task):
    """``config.outputs`` are the class names in index order; ``read`` gives one probability per class.

    ``batch["target"]`` holds int64 ids ``(B,)`` (per frame ``(B, T)``; -100: not labelled) or, after mixing,
    probabilities with a last dimension K.
    """

    kind = "classification"

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self.options = read_options(ClassificationOptions, config.options, self.kind)
        if len(config.outputs) < 2:
            raise UsageError(f"classification into {config.outputs}: at least two classes are needed")
        weights = self.options.class_weights
        if weights is not None and (len(weights) != len(config.outputs) or min(weights) < 0):
            raise UsageError(
                f"class_weights {list(weights)}: give one number of 0 or more for each of {', '.join(config.outputs)}"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.outputs

    def target_columns(self) -> tuple[str, ...]:
        return (self.options.target,)

    def make_head(self, encoder: Encoder) -> nn.Module:
        return make_head(encoder, self.config, self.options)

    def loss(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        weights = self.options.class_weights
        return cross_entropy(
            outputs,
            batch["target"],
            self.options.label_smoothing,
            None if weights is None else torch.tensor(weights, dtype=torch.float32, device=outputs.device),
        )

    def read(self, outputs: Tensor) -> Tensor:
        return outputs.float().softmax(dim=-1)

    def metrics(self) -> tuple[str, ...]:
        return ("uar", "war", "macro_f1", "weighted_f1")
