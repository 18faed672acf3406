"""Cuts between shots, from small brightness and colour statistics. No torch here."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from mien.faces.types import Image
from mien.media.picture import luma

ROWS, COLUMNS, DENSITY = 18, 32, 6  # cells of the thumbnail, and samples per cell along each side
CHANGE = 0.05  # mean change of cell luma (0..1); within a shot it was at most 0.033 on real recordings
COLOURS = 0.12  # share of pixels that changed colour bin; within a shot at most 0.03, across cuts 0.17 and more
SURGE = 3.0  # and both must exceed the recent mean this many times, so that shake and fast pans are no cuts


class CutDetector:
    """Says of each frame of a stream whether a new shot begins with it. Looks at 20 000 pixels, whatever the size."""

    def __init__(self) -> None:
        self._last: tuple[NDArray[np.float32], NDArray[np.float64]] | None = None
        self._changes: deque[tuple[float, float]] = deque(maxlen=8)

    def is_cut(self, image: Image) -> bool:
        """Whether ``image`` begins a new shot; call it once for every frame, in order. The first is none."""
        cells, colours = _statistics(image)
        last, self._last = self._last, (cells, colours)
        if last is None:
            return False
        change = float(np.abs(cells - last[0]).mean())
        moved = float(1 - np.minimum(colours, last[1]).sum())
        usual = np.mean(self._changes, axis=0) if self._changes else (0.0, 0.0)
        if change > max(CHANGE, SURGE * usual[0]) and moved > max(COLOURS, SURGE * usual[1]):
            self._changes.clear()
            return True
        self._changes.append((change, moved))
        return False


def _statistics(image: Image) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Mean luma of 18 x 32 cells, 0..1, and the shares of 64 colours."""
    height, width = image.shape[:2]
    rows = ((np.arange(ROWS * DENSITY) + 0.5) * height / (ROWS * DENSITY)).astype(np.intp)
    columns = ((np.arange(COLUMNS * DENSITY) + 0.5) * width / (COLUMNS * DENSITY)).astype(np.intp)
    sample = image[rows[:, None], columns]
    brightness = luma(sample) / 255
    cells = brightness.reshape(ROWS, DENSITY, COLUMNS, DENSITY).mean(axis=(1, 3))
    bins = (sample >> 6).astype(np.intp) @ np.array([16, 4, 1])
    return cells, np.bincount(bins.ravel(), minlength=64) / bins.size
