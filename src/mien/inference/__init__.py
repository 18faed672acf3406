"""Video in, Timeline out. The names are loaded when first used: timelines can be read and written without torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Outcome": "mien.inference.many",
    "predict": "mien.inference.pipeline",
    "predict_each": "mien.inference.many",
    "predict_frames": "mien.inference.live",
    "embed": "mien.inference.pipeline",
    "PredictSettings": "mien.inference.settings",
    "Stopwatch": "mien.inference.stopwatch",
    "Timeline": "mien.inference.timeline",
    "join_timelines": "mien.inference.timeline",
}

__all__ = [
    "Outcome",
    "PredictSettings",
    "Stopwatch",
    "Timeline",
    "embed",
    "join_timelines",
    "predict",
    "predict_each",
    "predict_frames",
]

if TYPE_CHECKING:
    from mien.inference.live import predict_frames
    from mien.inference.many import Outcome, predict_each
    from mien.inference.pipeline import embed, predict
    from mien.inference.settings import PredictSettings
    from mien.inference.stopwatch import Stopwatch
    from mien.inference.timeline import Timeline, join_timelines


if not TYPE_CHECKING:  # checkers shall know names that are not there

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'mien.inference' has no attribute {name!r}")
        return getattr(import_module(_PUBLIC[name]), name)
