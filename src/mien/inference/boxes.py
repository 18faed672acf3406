"""Where a face was, kept compactly: straight lines between as few samples as the truth allows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.01  # of the box's longer side: how far a kept line may lie off a box's edges
_LONGEST = 50  # samples that one line may replace; bounds the work


class BoxTrail:
    """Boxes of one track in the order of time, thinned as they come.

    A sample is dropped where the straight line between its kept neighbours passes its four edges closely enough.
    Gaps are marked by a sample of NaN.
    """

    def __init__(self) -> None:
        self._kept: list[NDArray[np.float64]] = []  # time, x0, y0, x1, y1, score
        self._since: list[NDArray[np.float64]] = []  # the last kept one and all after it
        self._end = 0.0

    def add(self, time: float, box: NDArray[np.float64], score: float, end: float) -> None:
        """A box that is shown from ``time`` to ``end`` seconds."""
        if self._since and time > self._end + 1e-6:
            self._flush()
        self._end = end
        self._since.append(np.array([time, *box, score]))
        if len(self._since) > 2 and not self._straight():
            self._keep(self._since[-2])
            self._since = self._since[-2:]
        elif len(self._since) == 1:
            self._keep(self._since[0])

    def _straight(self) -> bool:
        first, last = self._since[0], self._since[-1]
        if len(self._since) > _LONGEST:
            return False
        between = np.stack(self._since[1:-1])
        share = (between[:, :1] - first[0]) / (last[0] - first[0])
        off = np.abs(between[:, 1:5] - (first[1:5] + share * (last[1:5] - first[1:5])))
        side = max(last[3] - last[1], last[4] - last[2], 1.0)
        return bool(off.max() <= TOLERANCE * side)

    def _keep(self, sample: NDArray[np.float64]) -> None:
        self._kept.append(sample)

    def _flush(self) -> None:
        """End of an unbroken stretch: its last box stays until the frame's end, then there is none."""
        last = self._since[-1]
        if len(self._since) > 1:
            self._keep(last)
        self._keep(np.array([self._end, *[np.nan] * 5]))
        self._since = []

    def so_far(self) -> NDArray[np.float64]:
        """What is known while the face is still there, ``(S, 6)`` as ``samples``."""
        known = [*self._kept, *self._since[1:][-1:]]
        return np.stack(known) if known else np.zeros((0, 6))

    def forget(self, before: float) -> None:
        """Drop what was kept from before that moment, but for the last one, where a line may begin."""
        gone = sum(sample[0] < before for sample in self._kept)
        del self._kept[: max(gone - 1, 0)]

    def samples(self) -> NDArray[np.float64]:
        """All that was kept, ``(S, 6)``: time, x0, y0, x1, y1, score."""
        if self._since:
            self._flush()
        return np.stack(self._kept) if self._kept else np.zeros((0, 6))
