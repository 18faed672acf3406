"""Detectors by name."""

from __future__ import annotations

from pathlib import Path

from mien.errors import UsageError
from mien.faces.types import Detector


def create_detector(name: str | Path = "mtcnn", device: str = "cpu") -> Detector:
    """A face detector: ``mtcnn``, which ships with mien, or the path of a YuNet ONNX file.

    Args:
        name: ``mtcnn``, or a path that ends in ``.onnx``.
        device: where MTCNN runs, as torch names it; YuNet runs on the CPU.

    Raises:
        UsageError: neither, or YuNet cannot be run.
    """
    if str(name) == "mtcnn":
        from mien.faces.mtcnn import MTCNN

        return MTCNN(device=device)
    if str(name).endswith(".onnx"):
        from mien.faces.yunet import YuNet

        return YuNet(name)
    raise UsageError(f"face detector {str(name)!r} is not known; give 'mtcnn' or the path of a YuNet .onnx file")
