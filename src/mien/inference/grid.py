"""The time grid that rows lie on, and what of a recording falls into each of its cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.inference.timeline import Floats

_TOUCH = 1e-9  # seconds: what overlaps by less does not overlap


@dataclass(frozen=True)
class Grid:
    """Cells of time over one recording.

    Attributes:
        edges: float64 ``(R + 1,)`` seconds, ascending; cell r is ``[edges[r], edges[r + 1])``.
        times: float64 ``(N,)`` presentation times of the recording's frames (empty where there is no picture).
    """

    edges: Floats
    times: Floats

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def end(self) -> float:
        """Where the recording ends, in seconds."""
        return float(self.edges[-1])

    def cells(self, start: float, end: float) -> tuple[int, int]:
        """First and one past the last of the cells that ``[start, end)`` touches."""
        first = int(np.searchsorted(self.edges, start + _TOUCH, side="right")) - 1
        last = int(np.searchsorted(self.edges, end - _TOUCH, side="left"))
        return int(np.clip(first, 0, len(self))), int(np.clip(last, 0, len(self)))

    def frame_end(self, index: int) -> float:
        """When frame ``index`` gives way to the next one, in seconds."""
        return float(self.times[index + 1]) if index + 1 < len(self.times) else max(self.end, float(self.times[index]))

    def frames_in(self, start: Floats, end: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and one past the last frame of every span ``[start, end)``.

        A span in which no frame begins has the frame that is shown while it begins.
        """
        first = np.searchsorted(self.times, start - _TOUCH, side="left")
        last = np.searchsorted(self.times, end - _TOUCH, side="left")
        none = last <= first
        first = np.where(none, np.maximum(first - 1, 0), first)
        return first.astype(np.int64), np.where(none, first + 1, last).astype(np.int64)


def regular_grid(times: Floats, duration: float, step: float) -> Grid:
    """Cells of ``step`` seconds from 0 on; the last one ends with the recording."""
    count = max(int(np.ceil(duration / step - 1e-6)), 1)
    edges = np.arange(count + 1, dtype=np.float64) * step
    edges[-1] = duration if duration > edges[-2] else edges[-1]
    return Grid(edges, times)


def frame_grid(times: Floats, duration: float) -> Grid:
    """One cell per frame: from its presentation to the next one's."""
    end = duration if duration > times[-1] else float(times[-1]) + _usual_gap(times)
    return Grid(np.append(times, end), times)


def _usual_gap(times: Floats) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.04
