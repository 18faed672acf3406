"""One of K classes per clip, or per frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mien.errors import UsageError
from mien.models.contract import Encoder
from mien.models.specification import TaskConfig
from mien.nn.device import sent_once
from mien.tasks.contract import Task
from mien.tasks.heads import make_head
from mien.tasks.losses import cross_entropy
from mien.tasks.options import HeadOptions, read_options


@sent_once
def _weights(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


class ClassificationOptions(HeadOptions):
    """Options of ``classification``.

    Attributes:
        target: manifest column (per frame: column of the label file) with class names or ids.
        label_smoothing: see ``mien.tasks.losses.cross_entropy``.
        temperature: raw outputs are divided by it before they are read as probabilities; above 1 makes them milder.
            ``mien calibrate`` fits it on held-out clips; the loss does not know it.
        class_weights: one weight per class in the loss; ``balanced``: clips / (classes x clips of the class) over the
            training part; None: all count the same.
        metric: what selects checkpoints and is reported first.
        per: ``group`` averages the probabilities of all clips with the same entry in the manifest's column ``group``
            before they are judged (AVCAffe: clips of one long video).
    """

    target: str = "label"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    temperature: float = Field(default=1.0, gt=0)
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None
    metric: Literal["uar", "war", "macro_f1", "weighted_f1"] = "uar"
    per: Literal["clip", "group"] = "clip"


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
        if config.level == "frame" and (weights == "balanced" or self.per_group):
            raise UsageError("class_weights=balanced and per=group need one class per clip, not one per frame")
        self._weights = None if weights == "balanced" else weights
        if self._weights is not None and (len(self._weights) != len(config.outputs) or min(self._weights) < 0):
            names = ", ".join(config.outputs)
            raise UsageError(f"class_weights {list(self._weights)}: give one number of 0 or more for each of {names}")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in index order."""
        return self.config.outputs

    @property
    def per_group(self) -> bool:
        """True with ``per: group``."""
        return self.options.per == "group"

    def count(self, classes: Tensor) -> None:
        """Tell the task the training clips' class ids, int64 ``(N,)``: ``class_weights: balanced`` follows them.

        Classes that do not occur get weight 0.
        """
        if self.options.class_weights == "balanced":
            counts = torch.bincount(classes[classes >= 0], minlength=len(self.classes)).double()
            balanced = torch.where(counts > 0, counts.sum() / (len(counts) * counts), 0.0)
            self._weights = tuple(balanced.tolist())

    def target_columns(self) -> tuple[str, ...]:
        """The option ``target``, one column."""
        return (self.options.target,)

    def make_head(self, encoder: Encoder) -> nn.Module:
        """One output per class, with the options' dropout and initial scale; per clip or per frame."""
        return make_head(encoder, self.config, self.options)

    def loss(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy with the options' label smoothing and class weights; the temperature is not in it."""
        weights = None if self._weights is None else _weights(outputs.device, self._weights)
        return cross_entropy(outputs, batch["target"], self.options.label_smoothing, weights)

    def read(self, outputs: Tensor) -> Tensor:
        """Probabilities, ``softmax(outputs / temperature)`` over the last dimension, float32."""
        return (outputs.float() / self.options.temperature).softmax(dim=-1)

    def metrics(self) -> tuple[str, ...]:
        """The option ``metric`` first, then UAR, WAR, macro-F1 and weighted F1."""
        return tuple(dict.fromkeys((self.options.metric, "uar", "war", "macro_f1", "weighted_f1")))
