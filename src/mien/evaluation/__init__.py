"""Metrics, intervals and evaluation on unseen data. Names are loaded when first used: metrics need no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "EvaluationResult": "mien.evaluation.result",
    "EvaluationSettings": "mien.evaluation.assess",
    "Predictions": "mien.evaluation.predictions",
    "evaluate": "mien.evaluation.assess",
    "evaluation_loader": "mien.evaluation.assess",
    "figures": "mien.evaluation.scores",
    "metric": "mien.evaluation.metrics",
    "Metric": "mien.evaluation.metrics",
    "register_metric": "mien.evaluation.metrics",
    "Interval": "mien.evaluation.intervals",
    "predict_views": "mien.evaluation.predictions",
}

__all__ = [
    "EvaluationResult",
    "EvaluationSettings",
    "Interval",
    "Metric",
    "Predictions",
    "evaluate",
    "evaluation_loader",
    "figures",
    "metric",
    "predict_views",
    "register_metric",
]

if TYPE_CHECKING:
    from mien.evaluation.assess import EvaluationSettings, evaluate, evaluation_loader
    from mien.evaluation.intervals import Interval
    from mien.evaluation.metrics import Metric, metric, register_metric
    from mien.evaluation.predictions import Predictions, predict_views
    from mien.evaluation.result import EvaluationResult
    from mien.evaluation.scores import figures


if not TYPE_CHECKING:  # checkers shall know names that are not there

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'mien.evaluation' has no attribute {name!r}")
        return getattr(import_module(_PUBLIC[name]), name)
