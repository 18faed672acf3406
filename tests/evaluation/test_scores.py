"""From predictions to named figures: means over outputs, gaps, videos, units."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import UsageError
from mien.evaluation import metrics as m
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.scores import figures, judge, score
from mien.models.specification import TaskConfig
from mien.tasks import create_task

VALUES = create_task(TaskConfig(kind="dimensions", level="frame", outputs=("valence", "arousal")))
ONE = create_task(TaskConfig(kind="dimensions", outputs=("valence",)))
CLASSES = create_task(TaskConfig(kind="classification", outputs=("a", "b", "c")))


def frames(seed: int = 0, clips: int = 6) -> Predictions:
    """Clips of 10 to 35 frames; valence has gaps, the truth of clip 5's arousal is constant."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(clips):
        length = 10 + 5 * number
        truth = rng.normal(size=(length, 2))
        output = 0.6 * truth + 0.5 * rng.normal(size=(length, 2))
        truth[:3, 0] = np.nan
        if number == 5:
            truth[:, 1] = 0.2
            output[:, 1] = 0.2
        made.append(ClipPrediction(f"c{number}", output, truth, np.arange(length) / 25, 2))
    return Predictions(tuple(made))


def classes(truth: list[int], predicted: list[int]) -> Predictions:
    made = [
        ClipPrediction(f"c{number}", np.eye(3)[[guess]], np.array([true]), np.full(1, np.nan), 2)
        for number, (true, guess) in enumerate(zip(truth, predicted, strict=True))
    ]
    return Predictions(tuple(made))


def test_class_figures_equal_the_metrics_without_unknown_truth() -> None:
    truth, predicted = [0, 1, 2, 2, 1, -100], [0, 2, 2, 1, 1, 0]
    found = figures(CLASSES, classes(truth, predicted))
    assert list(found) == ["uar", "war", "macro_f1", "weighted_f1"]
    assert found["uar"] == pytest.approx(m.uar(truth[:5], predicted[:5]))
    assert found["weighted_f1"] == pytest.approx(m.f1(truth[:5], predicted[:5], "weighted"))
    assert {one.n for one in judge(CLASSES, classes(truth, predicted))} == {5}


def test_values_are_judged_over_all_frames_together() -> None:
    predictions = frames()
    found = figures(VALUES, predictions)
    truth, output = predictions.truth, predictions.output
    known = ~np.isnan(truth[:, 0])
    valence, arousal = m.ccc(truth[known, 0], output[known, 0]), m.ccc(truth[:, 1], output[:, 1])
    assert found["ccc/valence"] == pytest.approx(valence)
    assert found["ccc/arousal"] == pytest.approx(arousal)
    assert found["ccc"] == pytest.approx((valence + arousal) / 2)
    assert next(iter(found)) == VALUES.metrics()[0] == "ccc"


def test_one_value_has_one_name() -> None:
    clips = [
        ClipPrediction(f"c{n}", np.array([[n / 3.0]]), np.array([[n / 2.0]]), np.full(1, np.nan), 1) for n in range(4)
    ]
    assert list(figures(ONE, Predictions(tuple(clips)))) == ["ccc", "pearson", "rmse", "mae"]


def test_per_video_is_the_mean_over_videos_in_which_it_is_defined() -> None:
    """Clips 0 and 1 are parts of one recording; clip 5's arousal agrees on a constant, so that video is left out."""
    predictions = frames()
    videos = ["x", "x", "c2", "c3", "c4", "c5"]
    by_video: dict[str, list[ClipPrediction]] = {}
    for clip, video in zip(predictions.clips, videos, strict=True):
        by_video.setdefault(video, []).append(clip)
    expected = []
    for clips in by_video.values():
        truth, output = (np.concatenate([getattr(clip, name) for clip in clips]) for name in ("truth", "output"))
        known = ~np.isnan(truth[:, 0])
        expected.append((m.ccc(truth[known, 0], output[known, 0]) + m.ccc(truth[:, 1], output[:, 1])) / 2)
    assert np.isnan(expected[-1])
    (found,) = [one for one in judge(VALUES, predictions, videos=videos) if one.name == "ccc_per_video"]
    assert found.point == pytest.approx(np.mean(expected[:-1]))
    assert (found.n, found.counted) == (4, "videos")


def test_counts_say_what_was_judged() -> None:
    counts = {one.name: one.n for one in judge(VALUES, frames())}
    total = sum(10 + 5 * number for number in range(6))
    assert (counts["ccc/valence"], counts["ccc/arousal"], counts["ccc"]) == (total - 18, total, total)


def test_intervals_draw_subjects() -> None:
    predictions = frames()
    by_clip = score(judge(VALUES, predictions), replicates=200)
    by_subject = score(judge(VALUES, predictions, subjects=["s", "s", "s", "t", "t", "u"]), replicates=200)
    assert {one.interval.units for one in by_clip} == {6}
    assert {one.interval.units for one in by_subject} == {3}
    assert [one.value for one in by_clip] == pytest.approx([one.value for one in by_subject])
    ccc = by_clip[0]
    assert ccc.interval.low < ccc.value < ccc.interval.high


def test_further_metrics_and_their_refusals() -> None:
    predictions = classes([0, 1, 2], [0, 2, 2])
    (top,) = judge(CLASSES, predictions, ["top_2"])
    assert top.title == "top-2"
    with pytest.raises(UsageError, match="'ccc' judges values, this task has classes; use brier, "):
        judge(CLASSES, predictions, ["ccc"])
    with pytest.raises(UsageError, match="'uar' judges classes, this task has values; use ccc"):
        judge(VALUES, frames(), ["uar"])
    with pytest.raises(UsageError, match="'f1' is not known"):
        judge(CLASSES, predictions, ["f1"])
