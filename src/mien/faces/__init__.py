"""Find faces, follow them through a recording, cut them out.

The public names are loaded when first used: the room's data types and settings need no torch, MTCNN does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "MTCNN": "mien.faces.mtcnn",
    "CropRecipe": "mien.faces.recipe",
    "Cropper": "mien.faces.crop",
    "Detection": "mien.faces.types",
    "Detector": "mien.faces.types",
    "FaceTracker": "mien.faces.tracker",
    "TrackedFace": "mien.faces.types",
    "TrackedFrame": "mien.faces.types",
    "TrackingSettings": "mien.faces.settings",
    "YuNet": "mien.faces.yunet",
    "create_detector": "mien.faces.detectors",
}

__all__ = [
    "MTCNN",
    "CropRecipe",
    "Cropper",
    "Detection",
    "Detector",
    "FaceTracker",
    "TrackedFace",
    "TrackedFrame",
    "TrackingSettings",
    "YuNet",
    "create_detector",
]

if TYPE_CHECKING:
    from mien.faces.crop import Cropper
    from mien.faces.detectors import create_detector
    from mien.faces.mtcnn import MTCNN
    from mien.faces.recipe import CropRecipe
    from mien.faces.settings import TrackingSettings
    from mien.faces.tracker import FaceTracker
    from mien.faces.types import Detection, Detector, TrackedFace, TrackedFrame
    from mien.faces.yunet import YuNet


if not TYPE_CHECKING:  # checkers shall know names that are not there

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'mien.faces' has no attribute {name!r}")
        return getattr(import_module(_PUBLIC[name]), name)
