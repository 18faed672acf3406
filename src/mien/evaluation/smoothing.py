"""What is done to courses over time after the model, fitted on validation clips alone and then applied to others.

The usual steps of continuous-emotion challenges: a time shift, a median filter, centring and scaling. A step stays only
where the clips that it was fitted on agree better with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from mien.errors import UsageError
from mien.evaluation.metrics import metric
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.tallies import Floats
from mien.models.specification import Smoothing
from mien.tasks import Task
from mien.tasks.smoothing import smooth

WINDOWS = (0.2, 0.5, 1.0, 2.0, 4.0)
SHIFTS = (-2.0, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 2.0)


def check_smoothable(task: Task) -> None:
    """Raises ``UsageError`` unless the task gives values for every frame."""
    if task.config.level != "frame" or task.classes is not None:
        raise UsageError(
            f"smoothing is for values over time; this task is {task.kind} per {task.config.level}, so leave it out"
        )


def fit(task: Task, validation: Predictions) -> tuple[Smoothing, ...]:
    """The steps for each of a task's outputs, by their concordance over all validation frames.

    Raises:
        UsageError: there are no clips, or the task doesn't give values over time.
    """
    check_smoothable(task)
    if not validation.clips:
        raise UsageError("smoothing is fitted on validation clips, and there are none; name some, or leave it out")
    return tuple(_fit_one(validation.clips, column) for column in range(len(task.config.outputs)))


def apply(steps: Iterable[Smoothing], predictions: Predictions) -> Predictions:
    """Predictions with the steps of every value taken, clip by clip; further columns stay as they are."""
    steps = tuple(steps)
    clips = []
    for clip in predictions.clips:
        output = clip.output.copy()
        for column, step in enumerate(steps):
            output[:, column] = smooth(step, clip.times, output[:, column])
        clips.append(replace(clip, output=output))
    return replace(predictions, clips=tuple(clips))


def _fit_one(clips: tuple[ClipPrediction, ...], column: int) -> Smoothing:
    best = Smoothing()

    def better(by: str, choices: Iterable[dict[str, Any]]) -> Smoothing:
        tried = [best, *(best.model_copy(update=choice) for choice in choices)]
        return max(tried, key=lambda step: _agreement(by, step, clips, column))

    # what is still to be centred and scaled is best told by its correlation
    best = better("pearson", ({"shift": shift} for shift in SHIFTS))
    best = better("pearson", ({"window": window} for window in WINDOWS))
    truth, values = _joined(best, clips, column)
    if len(values) > 1 and values.std() > 0:
        gain = float(truth.std() / values.std())
        centred = {"offset": float(truth.mean() - values.mean())}
        best = better("ccc", [centred, {"gain": gain, "offset": float(truth.mean() - gain * values.mean())}])
    return best


def _joined(step: Smoothing, clips: tuple[ClipPrediction, ...], column: int) -> tuple[Floats, Floats]:
    """Truth and smoothed values of all labelled frames."""
    truth = np.concatenate([clip.truth[:, column] for clip in clips])
    values = np.concatenate([smooth(step, clip.times, clip.output[:, column]) for clip in clips])
    known = ~np.isnan(truth)
    return truth[known], values[known]


def _agreement(by: str, step: Smoothing, clips: tuple[ClipPrediction, ...], column: int) -> float:
    value = float(metric(by)(*_joined(step, clips, column)))
    return value if np.isfinite(value) else -1.0
