"""What is done to courses over time after the model, fitted on validation clips alone and then applied to others.

The usual steps of continuous-emotion challenges: a time shift, a median filter, centring and scaling. A step stays only
where it raises the concordance of the clips that it was fitted on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import median_filter

from mien.errors import UsageError
from mien.evaluation.metrics import metric
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.tallies import Floats

WINDOWS = (0.2, 0.5, 1.0, 2.0, 4.0)
SHIFTS = (-2.0, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Smoothing:
    """Steps for one value, in the order in which they are taken.

    Attributes:
        shift: seconds by which the course is moved to later times; its ends are held.
        window: seconds of the median filter; 0 is none.
        gain, offset: ``gain * value + offset``.
    """

    shift: float = 0.0
    window: float = 0.0
    gain: float = 1.0
    offset: float = 0.0

    def __call__(self, times: Floats, values: Floats) -> Floats:
        """Values ``(T,)`` at ascending ``times`` after all steps."""
        if self.shift and len(times) > 1:
            values = np.interp(times - self.shift, times, values)
        if self.window and len(times) > 1:
            steps = max(round(self.window / float(np.median(np.diff(times)))), 1)
            values = median_filter(values, size=steps + 1 - steps % 2, mode="nearest")
        return self.gain * values + self.offset


def fit(validation: Predictions, outputs: int) -> tuple[Smoothing, ...]:
    """The steps for each of the first ``outputs`` values, by their concordance over all validation frames.

    Raises:
        UsageError: there are no clips, or they are not judged over time.
    """
    if not validation.clips or np.isnan(validation.clips[0].times).any():
        raise UsageError("smoothing is fitted on validation clips that are judged frame by frame; there are none")
    return tuple(_fit_one(validation.clips, column) for column in range(outputs))


def apply(steps: Iterable[Smoothing], predictions: Predictions) -> Predictions:
    """Predictions with the steps of every value taken, clip by clip; further columns stay as they are."""
    steps = tuple(steps)
    clips = []
    for clip in predictions.clips:
        output = clip.output.copy()
        for column, step in enumerate(steps):
            output[:, column] = step(clip.times, output[:, column])
        clips.append(replace(clip, output=output))
    return replace(predictions, clips=tuple(clips))


def _fit_one(clips: tuple[ClipPrediction, ...], column: int) -> Smoothing:
    best = Smoothing()
    for choices in ([{"shift": shift} for shift in SHIFTS], [{"window": window} for window in WINDOWS]):
        tried = [best, *(replace(best, **choice) for choice in choices)]
        best = max(tried, key=lambda step: _concordance(step, clips, column))
    truth, values = _joined(best, clips, column)
    if len(values) > 1 and values.std() > 0:
        gain = float(truth.std() / values.std())
        scaled = replace(best, gain=gain, offset=float(truth.mean() - gain * values.mean()))
        best = max((best, scaled), key=lambda step: _concordance(step, clips, column))
    return best


def _joined(step: Smoothing, clips: tuple[ClipPrediction, ...], column: int) -> tuple[Floats, Floats]:
    """Truth and smoothed values of all labelled frames."""
    truth = np.concatenate([clip.truth[:, column] for clip in clips])
    values = np.concatenate([step(clip.times, clip.output[:, column]) for clip in clips])
    known = ~np.isnan(truth)
    return truth[known], values[known]


def _concordance(step: Smoothing, clips: tuple[ClipPrediction, ...], column: int) -> float:
    value = float(metric("ccc")(*_joined(step, clips, column)))
    return value if np.isfinite(value) else -1.0
