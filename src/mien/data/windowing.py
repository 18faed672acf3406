"""One fixed square in the place of a tracked face, for recordings that are face crops already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mien.errors import MienError
from mien.faces.types import Frame, TrackedFace, TrackedFrame


def follow_window(window: tuple[int, int, int], frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
    """Frames that each show one face, exactly where ``window`` (left, top, side in pixels) lies.

    SVFAP and MAE-DFER cut VoxCeleb2's 224 px crops down to 160 px this way: rows 0-159, columns 32-191.

    Raises:
        MienError: the window reaches over the edge of a picture.
    """
    left, top, side = window
    box = np.array([left, top, left + side, top + side], dtype=np.float64)
    for frame in frames:
        height, width = frame.image.shape[:2]
        if left + side > width or top + side > height:
            raise MienError(
                f"the window of {side} px at {left}, {top} reaches over the edge of pictures of {width} x {height} px"
            )
        yield TrackedFrame(frame.index, frame.time, frame.image, [TrackedFace(0, box, 1.0, None, "detected")])
