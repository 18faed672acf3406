"""Intensities of several emotions at once, one number in 0..1 each per clip (Hume-Reaction, MuSe 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from mien.errors import UsageError
from mien.models.contract import Encoder
from mien.models.specification import TaskConfig
from mien.tasks.contract import Task
from mien.tasks.heads import make_head
from mien.tasks.losses import mean_squared_error
from mien.tasks.options import HeadOptions, check_targets, read_options


class IntensitiesOptions(HeadOptions):
    """Options of ``intensities``.

    Attributes:
        activation: what raw outputs go through. ``none`` is published: outputs are unbounded and may leave 0..1.
        rescale: divide every clip's outputs by their own largest value (not differentiated), as the published option
            ``--rescale``; its authors report that it does worse.
        targets: manifest columns where they are not named as the outputs.
    """

    activation: Literal["none", "sigmoid"] = "none"
    rescale: bool = False
    targets: tuple[str, ...] | None = None


class Intensities(Task):
    """``config.outputs`` name the emotions; judged by the mean over them of Pearson's r over all clips.

    The loss is the mean over emotions of the mean squared error: with no gaps, the plain mean squared error.
    """

    kind = "intensities"

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self.options = read_options(IntensitiesOptions, config.options, self.kind)
        if config.level != "clip":
            raise UsageError("intensities are given per clip; use the task dimensions for values over time")
        check_targets(self.options.targets, config.outputs)

    def target_columns(self) -> tuple[str, ...]:
        """The option ``targets``, else the names of the outputs."""
        return self.options.targets or self.config.outputs

    def make_head(self, encoder: Encoder) -> nn.Module:
        """One output per emotion and clip, with the options' dropout and initial scale."""
        return make_head(encoder, self.config, self.options)

    def loss(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean over emotions of the mean squared error of activated outputs; gaps are left out."""
        return mean_squared_error(self.read(outputs), batch["target"])

    def read(self, outputs: Tensor) -> Tensor:
        """The intensities ``(B, K)``, float32: activated, and with ``rescale`` over the largest of each clip."""
        values = F.sigmoid(outputs.float()) if self.options.activation == "sigmoid" else outputs.float()
        return values / values.detach().amax(-1, keepdim=True) if self.options.rescale else values

    def metrics(self) -> tuple[str, ...]:
        """Pearson's r, mean over emotions, selects; the mean squared error stands beside it."""
        return ("pearson", "mse")
