"""Steps taken on outputs over time after the model: a time shift, a median filter, scaling and centring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from mien.models.specification import Smoothing

Floats = NDArray[np.float64]


def smooth(step: Smoothing, times: Floats, values: Floats) -> Floats:
    """Values ``(T,)`` at ascending ``times`` (seconds) after all steps; none of them may be NaN."""
    if step.shift and len(times) > 1:
        values = np.interp(times - step.shift, times, values)
    if step.window and len(times) > 1:
        steps = max(round(step.window / float(np.median(np.diff(times)))), 1)
        values = median_filter(values, size=steps + 1 - steps % 2, mode="nearest")
    smoothed: Floats = step.gain * values + step.offset
    return smoothed
