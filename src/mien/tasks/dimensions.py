"""Continuous values, such as valence and arousal, intensities or traits: per clip, or over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn

from mien.models.contract import Encoder
from mien.models.specification import TaskConfig
from mien.tasks.contract import Task
from mien.tasks.heads import make_head
from mien.tasks.losses import concordance_loss, mean_squared_error
from mien.tasks.options import HeadOptions, check_targets, read_options


class DimensionsOptions(HeadOptions):
    """Options of ``dimensions``.

    Attributes:
        loss: ``mse``, ``ccc`` (one minus the concordance) or their plain sum.
        activation: what the raw outputs go through: ``tanh`` for values in -1..1, ``sigmoid`` for 0..1.
        targets: manifest columns (per frame: columns of the label file) where they are not named as the outputs.
    """

    loss: Literal["mse", "ccc", "ccc+mse"] = "ccc+mse"
    activation: Literal["none", "tanh", "sigmoid"] = "none"
    targets: tuple[str, ...] | None = None


class Dimensions(Task):
    """``config.outputs`` are the names of the values.

    ``batch["target"]`` is float ``(B, K)`` per clip or ``(B, T, K)`` at the times of the frames; NaN is a gap.
    Per frame the head gives ``(B, T, K)``: see ``mien.tasks.heads.FrameHead`` for how it gets from the encoder's
    steps to the frames. The concordance is taken over all labelled frames of a batch as one signal.
    """

    kind = "dimensions"
    schema: ClassVar[type[DimensionsOptions]] = DimensionsOptions

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self.options = read_options(self.schema, config.options, self.kind)
        check_targets(self.options.targets, config.outputs)

    def target_columns(self) -> tuple[str, ...]:
        """The option ``targets``, else the names of the outputs."""
        return self.options.targets or self.config.outputs

    def make_head(self, encoder: Encoder) -> nn.Module:
        """One output per value, with the options' dropout and initial scale; per clip or per frame."""
        return make_head(encoder, self.config, self.options)

    def loss(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """What the option ``loss`` names, of activated outputs: 1 - concordance, squared error, or their plain sum."""
        values, target = self.read(outputs), batch["target"]
        if self.options.loss == "mse":
            return mean_squared_error(values, target)
        concordance = concordance_loss(values, target)
        return concordance if self.options.loss == "ccc" else concordance + mean_squared_error(values, target)

    def read(self, outputs: Tensor) -> Tensor:
        """The values: outputs through the option ``activation``, float32, same shape."""
        if self.options.activation == "tanh":
            return outputs.float().tanh()
        return outputs.float().sigmoid() if self.options.activation == "sigmoid" else outputs.float()

    def metrics(self) -> tuple[str, ...]:
        """Concordance selects; Pearson's r and the errors stand beside it."""
        return ("ccc", "pearson", "rmse", "mae")
