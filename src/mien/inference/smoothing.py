"""What a bundle says is done to its outputs over time, done to a timeline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.inference.timeline import DECIMALS, Floats, Timeline, complete
from mien.models.specification import Smoothing, Specification
from mien.tasks.smoothing import smooth


def smoothed(timeline: Timeline, specification: Specification) -> Timeline:
    """The timeline with the steps of every output taken, track by track; nothing is carried over a gap."""
    if not specification.smoothing:
        return timeline
    frame = timeline.frame.copy()
    values = frame[list(timeline.outputs)].to_numpy(copy=True)
    times = (frame.index.get_level_values("start") + frame.index.get_level_values("end")).to_numpy() / 2
    for rows in frame.groupby(level=["file", "track"], sort=False).indices.values():
        values[rows] = _one_track(specification.smoothing, times[rows], values[rows])
    frame[list(timeline.outputs)] = values.round(DECIMALS)
    return replace(timeline, frame=frame, smoothing=specification.smoothing_text())


def _one_track(steps: tuple[Smoothing, ...], times: Floats, values: Floats) -> Floats:
    """Values ``(R, K)`` of one track; every stretch without NaN by itself."""
    result = values.copy()
    seen = np.flatnonzero(complete(values))
    for stretch in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1):
        for column, step in enumerate(steps):
            result[stretch, column] = smooth(step, times[stretch], values[stretch, column])
    return result
