"""Overlapping windows of one track → rows, given out as soon as no later window can change them."""

from __future__ import annotations

import numpy as np

from mien.inference.grid import Grid
from mien.inference.timeline import Floats, Rows

FLOOR = 0.05  # weight at the very edge of a window, against 1 in its middle


def weight_between(start: Floats, end: Floats, low: float, high: float) -> Floats:
    """How much a window over ``[low, high)`` says about spans inside it: the integral of its weight over each span.

    The weight is a triangle, 1 in the middle of the window and falling to ``FLOOR`` at its edges, where the model sees
    only one side of what happens. Windows half a length apart thus pass from one to the next linearly.
    """
    centre, half = (low + high) / 2, max((high - low) / 2, 1e-9)
    return half * (_area((end - centre) / half) - _area((start - centre) / half))


def _area(u: Floats) -> Floats:
    """Integral from 0 to u of ``max(1 - |x|, FLOOR)``."""
    inner = np.minimum(np.abs(u), 1 - FLOOR)
    return np.sign(u) * (inner - inner**2 / 2 + FLOOR * (np.abs(u) - inner))


class TrackRows:
    """Weighted sums of one track over the grid.

    Args:
        track: its id; ``NOBODY`` for what is heard while no face is there.
        start: seconds at which it begins.
        grid: where rows lie.
        width: number of outputs.
    """

    def __init__(self, track: int, start: float, grid: Grid, width: int) -> None:
        self.track = track
        self.grid = grid
        self.start = self.end = start
        self._cell = grid.cells(start, start)[0]  # the first one not yet given out
        self._sum = np.zeros((0, width))
        self._weight = np.zeros(0)
        self._heard = np.zeros(0, dtype=bool)
        self._seen: list[int] = []
        self._held = np.full(width, np.nan)  # last value given out

    def see(self, index: int) -> None:
        """The face was there in frame ``index``; frames come in order."""
        self._seen.append(index)
        self.reach(self.grid.frame_end(index))

    def reach(self, end: float) -> None:
        """It lasts until ``end`` seconds at least."""
        self.end = max(self.end, end)

    def add(
        self,
        low: float,
        high: float,
        times: Floats,
        values: Floats,
        heard: tuple[float, float] | None = None,
    ) -> None:
        """Add what the model said about ``[low, high)``.

        Args:
            times: float64 ``(T',)`` seconds of the outputs.
            values: float ``(T', K)``; between outputs they run in straight lines, outside they stay.
            heard: seconds between which there was sound in it; None without.
        """
        first, last = self.grid.cells(low, high)
        first = max(first, self._cell)
        if last <= first:
            return
        self._grow(last - self._cell)
        start = np.maximum(self.grid.edges[first:last], low)
        end = np.minimum(self.grid.edges[first + 1 : last + 1], high)
        weight = weight_between(start, end, low, high)
        centres = (start + end) / 2
        spread = np.stack([np.interp(centres, times, column) for column in values.T], axis=1)
        part = slice(first - self._cell, last - self._cell)
        self._sum[part] += weight[:, None] * spread
        self._weight[part] += weight
        if heard is not None:
            self._heard[part] |= np.minimum(end, heard[1]) - np.maximum(start, heard[0]) > 1e-6

    def _grow(self, cells: int) -> None:
        more = cells - len(self._weight)
        if more > 0:
            self._sum = np.pad(self._sum, ((0, more), (0, 0)))
            self._weight = np.pad(self._weight, (0, more))
            self._heard = np.pad(self._heard, (0, more))

    def take(self, until: float, last: bool = False) -> Rows | None:
        """Rows that end by ``until`` seconds, which nothing will change any more; None where there is none.

        With ``last`` everything that is left is given out; the last row then ends with the track.
        """
        stop = self.grid.cells(self.start, self.end)[1]
        if not last:
            stop = min(stop, int(np.searchsorted(self.grid.edges, until + 1e-9, side="right")) - 1)
        count = stop - self._cell
        if count <= 0:
            return None
        self._grow(count)
        start = np.maximum(self.grid.edges[self._cell : stop], self.start)
        end = np.minimum(self.grid.edges[self._cell + 1 : stop + 1], self.end if last else np.inf)
        face = self._face(start, end)
        values, used = self._values(face)
        self._sum, self._weight, self._heard = self._sum[count:], self._weight[count:], self._heard[count:]
        self._cell = stop
        gone = int(np.searchsorted(self._seen, self.grid.frames_in(end[-1:], end[-1:] + 1e-6)[0][0] - 1))
        del self._seen[:gone]
        return Rows(self.track, start, end, values, face, used)

    def _face(self, start: Floats, end: Floats) -> Floats:
        """Share of every span's frames in which the face was there."""
        first, last = self.grid.frames_in(start, end)
        seen = np.asarray(self._seen, dtype=np.int64)
        found = np.searchsorted(seen, last) - np.searchsorted(seen, first)
        share: Floats = found / np.maximum(last - first, 1)
        return share

    def _values(self, face: Floats) -> tuple[Floats, list[str]]:
        """Means of the first cells, and which modalities were there in each.

        NaN where the face was not there and nothing was heard; the value before where the face was there, but no
        window fell on the cell.
        """
        values = np.full((len(face), self._sum.shape[1]), np.nan)
        used = [""] * len(face)
        for row, share in enumerate(face):
            if self._weight[row] > 0:
                self._held = self._sum[row] / self._weight[row]
            heard = bool(self._heard[row])
            if share > 0 or heard:
                values[row] = self._held
                modalities = [name for name, there in (("video", share > 0), ("sound", heard)) if there]
                used[row] = "" if np.isnan(self._held[0]) else "+".join(modalities)
        return values, used
