"""From predictions to figures: every metric of a task, for all outputs together and one by one, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mien.errors import UsageError
from mien.evaluation.intervals import LEVEL, REPLICATES, Interval, bootstrap, number_units, resample
from mien.evaluation.metrics import METRICS, Metric, metric
from mien.evaluation.predictions import Predictions
from mien.evaluation.tallies import Floats, Ints, group_sums
from mien.tasks import Task

PER_VIDEO = ("ccc", "pearson")


@dataclass(frozen=True)
class Judgement:
    """A metric of a set of predictions, as sums from which its value and its interval follow.

    Attributes:
        name: ``uar``; ``ccc`` is the mean over outputs, ``ccc/valence`` one of them; ``ccc_per_video`` the mean over
            videos in which it is defined.
        title: as printed.
        higher_is_better: direction.
        sums: ``(C, S)`` by unit (subject or clip).
        value: ``(..., S)`` → ``(...)``.
        n: how many were judged (those with a known truth).
        counted: what n counts: ``clips``, ``frames``, or ``videos`` for ``_per_video``.
        bounds: lowest and highest possible value.
    """

    name: str
    title: str
    higher_is_better: bool
    sums: Floats
    value: Callable[[Floats], Floats]
    n: int
    counted: str
    bounds: tuple[float, float]

    @property
    def point(self) -> float:
        """The metric of the whole sample."""
        return float(self.value(self.sums.sum(axis=0)))


@dataclass(frozen=True)
class Score:
    """A metric with its interval; fields as in ``Judgement``."""

    name: str
    title: str
    higher_is_better: bool
    value: float
    n: int
    counted: str
    interval: Interval


def figures(task: Task, predictions: Predictions) -> dict[str, float]:
    """The task's metrics by name, without intervals: what validation during training needs."""
    return {judgement.name: judgement.point for judgement in judge(task, predictions)}


def score(
    judgements: Sequence[Judgement], level: float = LEVEL, replicates: int = REPLICATES, seed: int = 0
) -> tuple[Score, ...]:
    """Values and bootstrap intervals; the same units are drawn for all metrics."""
    drawn = resample(np.concatenate([one.sums for one in judgements], axis=1), replicates, seed)
    ends = np.cumsum([one.sums.shape[1] for one in judgements])
    return tuple(
        Score(
            one.name,
            one.title,
            one.higher_is_better,
            one.point,
            one.n,
            one.counted,
            bootstrap(one.sums, one.value, level, replicates, seed, one.bounds, own),
        )
        for one, own in zip(judgements, np.split(drawn, ends[:-1], axis=1), strict=True)
    )


def judge(
    task: Task,
    predictions: Predictions,
    names: Sequence[str] | None = None,
    subjects: Sequence[object] | None = None,
    videos: Sequence[object] | None = None,
) -> list[Judgement]:
    """Metrics of predictions.

    Args:
        task: names the metrics and says how truth is read.
        predictions: of at least one clip.
        names: metrics; by default those of the task.
        subjects: of every clip, in the order of ``predictions.clips``: the units of intervals; None: clips are.
        videos: recording of one subject that every clip is part of, for per-frame tasks; None: every clip is its own.

    Raises:
        UsageError: a metric is unknown or judges another kind of truth.
    """
    chosen = [_fitting(name, task) for name in dict.fromkeys(names or task.metrics())]
    units, count = number_units(subjects, len(predictions.clips))
    unit_of = units[predictions.clip_of]
    if task.classes is not None:
        return [_judge_classes(one, task, predictions, unit_of, count) for one in chosen]
    judged = [judgement for one in chosen for judgement in _judge_values(one, task, predictions, unit_of, count)]
    if task.config.level == "frame":
        recordings, number = number_units(videos, len(predictions.clips))
        unit_of_video = np.zeros(number, dtype=np.int64)
        unit_of_video[recordings] = units
        columns = [one for one in chosen if one.name in PER_VIDEO]
        rows = recordings[predictions.clip_of]
        judged += [_judge_videos(one, task, predictions, rows, unit_of_video, count) for one in columns]
    return judged


def _fitting(name: str, task: Task) -> Metric:
    found = metric(name)
    wanted = "values" if task.classes is None else "classes"
    if found.judges != wanted:
        fitting = sorted(other.name for other in METRICS.values() if other.judges == wanted)
        raise UsageError(f"metric {name!r} judges {found.judges}, this task has {wanted}; use {', '.join(fitting)}")
    return found


def _counted(task: Task) -> str:
    return "clips" if task.config.level == "clip" else "frames"


def _judge_classes(one: Metric, task: Task, predictions: Predictions, unit_of: Ints, count: int) -> Judgement:
    truth, output = predictions.truth, predictions.output
    known = truth >= 0
    sums = one.tally(truth[known], output[known], unit_of[known], count)
    n = int(known.sum())
    return Judgement(one.name, one.title, one.higher_is_better, sums, one.value, n, _counted(task), one.bounds)


def _judge_values(one: Metric, task: Task, predictions: Predictions, unit_of: Ints, count: int) -> list[Judgement]:
    """The mean over outputs, then each output where there are several."""
    truth, output = predictions.truth, predictions.output
    known = ~np.isnan(truth)
    sums = [
        one.tally(truth[rows, column], output[rows, column], unit_of[rows], count)
        for column, rows in enumerate(known.T)
    ]
    names = task.columns()
    mean = Judgement(
        one.name,
        one.title if len(names) == 1 else f"{one.title}, mean",
        one.higher_is_better,
        np.concatenate(sums, axis=1),
        _MeanOf(one.value, len(names)),
        int(known.any(axis=1).sum()),
        _counted(task),
        one.bounds,
    )
    if len(names) == 1:
        return [mean]
    return [mean] + [
        Judgement(
            f"{one.name}/{name}",
            f"{one.title}, {name}",
            one.higher_is_better,
            sums[column],
            one.value,
            int(known[:, column].sum()),
            _counted(task),
            one.bounds,
        )
        for column, name in enumerate(names)
    ]


@dataclass(frozen=True)
class _MeanOf:
    """Mean of a metric over outputs whose sums stand side by side."""

    value: Callable[[Floats], Floats]
    outputs: int

    def __call__(self, sums: Floats) -> Floats:
        parts = np.split(sums, self.outputs, axis=-1)
        return np.mean([self.value(part) for part in parts], axis=0)


def _judge_videos(
    one: Metric, task: Task, predictions: Predictions, video_of: Ints, unit_of_video: Ints, count: int
) -> Judgement:
    """Mean over videos of the metric within a video (itself the mean over outputs)."""
    truth, output = predictions.truth, predictions.output
    by_output = []
    for column, known in enumerate((~np.isnan(truth)).T):
        sums = one.tally(truth[known, column], output[known, column], video_of[known], len(unit_of_video))
        by_output.append(one.value(sums))
    values = np.mean(by_output, axis=0)
    defined = np.isfinite(values)
    items = np.stack([values[defined], np.ones(int(defined.sum()))], axis=1)
    sums = group_sums(items, unit_of_video[defined], count)
    title, n = f"{one.title}, per video", int(defined.sum())
    return Judgement(f"{one.name}_per_video", title, one.higher_is_better, sums, _ratio, n, "videos", one.bounds)


def _ratio(sums: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]
