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
        return self.options.targets or self.config.outputs

    def make_head(self, encoder: Encoder) -> nn.Module:
        return make_head(encoder, self.config, self.options)

    def loss(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        return mean_squared_error(self.read(outputs), batch["target"])

    def read(self, outputs: Tensor) -> Tensor:
        values = F.sigmoid(outputs.float()) if self.options.activation == "sigmoid" else outputs.float()
        return values / values.detach().amax(-1, keepdim=True) if self.options.rescale else values

    def metrics(self) -> tuple[str, ...]:
        return ("pearson", "mse")
