"""A timeline read off at moments: where each face is, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.inference.timeline import Timeline

_BOX = ["x0", "y0", "x1", "y1"]


@dataclass(frozen=True)
class Glance:
    """One face at one moment: box ``(4,)`` in pixels, and the row that holds the moment (None outside all rows)."""

    track: int
    box: NDArray[np.float64]
    row: pd.Series | None


class Playback:
    """A timeline of one file for lookups by time."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._faces = {track: _Face(timeline, track) for track in timeline.faces()}

    def at(self, time: float) -> list[Glance]:
        """All faces that are in the picture at this moment, by track."""
        found = []
        for track, face in self._faces.items():
            box = face.box(time)
            if box is not None:
                found.append(Glance(track, box, face.row(time)))
        return found

    def course(self, track: int, names: Sequence[str], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of a face at several moments, ``(T, K)``: straight lines between the rows' middles, NaN in gaps."""
        return self._faces[track].course(names, times)


class _Face:
    def __init__(self, timeline: Timeline, track: int) -> None:
        boxes = timeline.tracks[timeline.tracks["track"] == track]
        self._times = boxes["time"].to_numpy(float)
        self._boxes = boxes[_BOX].to_numpy(float)
        self._rows = timeline.of(track)
        self._start = self._rows.index.get_level_values("start").to_numpy(float)
        self._end = self._rows.index.get_level_values("end").to_numpy(float)

    def box(self, time: float) -> NDArray[np.float64] | None:
        """The box at a moment, on the straight line between two samples; None where there is none."""
        after = int(np.searchsorted(self._times, time + 1e-6, side="right"))
        if after == 0:
            return None
        before = self._boxes[after - 1]
        if np.isnan(before[0]):
            return None
        if after == len(self._times) or np.isnan(self._boxes[after][0]):
            return before
        span = self._times[after] - self._times[after - 1]
        share = (time - self._times[after - 1]) / span if span > 0 else 0.0
        box: NDArray[np.float64] = before + share * (self._boxes[after] - before)
        return box

    def row(self, time: float) -> pd.Series | None:
        """The row that holds a moment; frame times are rounded in a timeline, so a microsecond is forgiven."""
        place = int(np.searchsorted(self._start, time + 1e-6, side="right")) - 1
        if place < 0 or time > self._end[place] + 1e-6:
            return None
        return self._rows.iloc[place]

    def course(self, names: Sequence[str], times: NDArray[np.float64]) -> NDArray[np.float64]:
        middles = (self._start + self._end) / 2
        values = self._rows[list(names)].to_numpy(float)
        place = np.searchsorted(self._start, times + 1e-6, side="right") - 1
        inside = (place >= 0) & (times <= self._end[np.maximum(place, 0)] + 1e-6)
        seen = ~np.isnan(values[:, 0])
        course = np.full((len(times), len(names)), np.nan)
        if not seen.any():
            return course
        for k in range(len(names)):
            course[:, k] = np.interp(times, middles[seen], values[seen, k])
        course[~(inside & seen[np.maximum(place, 0)])] = np.nan
        return course
