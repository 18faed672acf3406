"""Apparent traits of a person, one number in 0..1 each per clip (ChaLearn First Impressions)."""

from __future__ import annotations

from typing import ClassVar, Literal

from mien.errors import UsageError
from mien.models.specification import TaskConfig
from mien.tasks.dimensions import Dimensions, DimensionsOptions


class TraitsOptions(DimensionsOptions):
    """Options of ``traits``: those of ``dimensions`` with the published loss, and outputs held within 0..1.

    Attributes:
        activation: ``none`` is published (SVFAP): raw outputs may leave 0..1.
    """

    loss: Literal["mse", "ccc", "ccc+mse"] = "mse"
    activation: Literal["none", "tanh", "sigmoid"] = "sigmoid"


class Traits(Dimensions):
    """``config.outputs`` name the traits; ``batch["target"]`` is float ``(B, K)``, NaN is a gap.

    Judged by the mean over traits of the concordance, by 1 - mean absolute error (the challenge's "accuracy", high for
    anyone who answers the mean of the corpus), and by R², which shows that: it is then 0.
    """

    kind = "traits"
    schema: ClassVar[type[DimensionsOptions]] = TraitsOptions

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        if config.level != "clip":
            raise UsageError("traits are given per clip; use the task dimensions for values over time")

    def metrics(self) -> tuple[str, ...]:
        """Concordance selects; 1 - mean absolute error and R² stand beside it."""
        return ("ccc", "one_minus_mae", "r2")
