"""mien: apparent emotion from video of faces, with sound where there is any.

The public names below are loaded when first used, so that ``import mien`` stays light (no torch).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "load": "mien.checkpoints.bundle",
    "save": "mien.checkpoints.bundle",
    "Bundle": "mien.checkpoints.bundle",
    "predict": "mien.inference",
    "predict_each": "mien.inference",
    "predict_frames": "mien.inference",
    "embed": "mien.inference",
    "Timeline": "mien.inference.timeline",
    "create_model": "mien.tasks",
    "list_models": "mien.models",
    "Specification": "mien.models.specification",
    "Manifest": "mien.data.manifest",
    "Protocol": "mien.data.protocol",
    "PredictSettings": "mien.inference",
    "MienError": "mien.errors",
    "UsageError": "mien.errors",
}

__all__ = [
    "Bundle",
    "Manifest",
    "MienError",
    "PredictSettings",
    "Protocol",
    "Specification",
    "Timeline",
    "UsageError",
    "create_model",
    "embed",
    "list_models",
    "load",
    "predict",
    "predict_each",
    "predict_frames",
    "save",
]

if TYPE_CHECKING:
    from mien.checkpoints.bundle import Bundle, load, save
    from mien.data.manifest import Manifest
    from mien.data.protocol import Protocol
    from mien.errors import MienError, UsageError
    from mien.inference import PredictSettings, embed, predict, predict_each, predict_frames
    from mien.inference.timeline import Timeline
    from mien.models import list_models
    from mien.models.specification import Specification
    from mien.tasks import create_model


if not TYPE_CHECKING:  # checkers shall know names that are not there

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'mien' has no attribute {name!r}")
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
