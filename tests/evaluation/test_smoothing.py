"""Steps after the model: each is found where it was planted, and none is taken where it does not help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.brightness import CLASSES, VALUES

from mien.checkpoints.bundle import load
from mien.checkpoints.verification import verify
from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation.assess import EvaluationSettings, evaluate
from mien.evaluation.courses import fit_smoothing
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.smoothing import apply, fit
from mien.models.specification import Smoothing, TaskConfig
from mien.tasks import create_task
from mien.tasks.smoothing import smooth

TIMES = np.arange(0, 40, 0.04)
TRUTH = np.sin(TIMES)[:, None] * 0.5
TASK = create_task(TaskConfig(kind="dimensions", level="frame", outputs=("valence",)))


def predictions(output: np.ndarray) -> Predictions:
    return Predictions((ClipPrediction("a", output[:, None], TRUTH, TIMES, 1),))


def test_a_late_weak_course_is_put_right() -> None:
    late = predictions(0.2 * np.interp(TIMES - 1.0, TIMES, TRUTH[:, 0]) + 0.3)
    (step,) = fit(TASK, late)
    assert step.shift == -1.0
    assert step.gain == pytest.approx(5.0, rel=0.1)
    np.testing.assert_allclose(apply((step,), late).output[50:-50], TRUTH[50:-50], atol=0.05)


def test_noise_is_filtered_and_truth_is_left_alone() -> None:
    noisy = TRUTH[:, 0] + 0.5 * np.random.default_rng(0).standard_normal(len(TIMES))
    assert fit(TASK, predictions(noisy))[0].window > 0
    (step,) = fit(TASK, predictions(TRUTH[:, 0]))
    assert (step.shift, step.window) == (0.0, 0.0)
    assert step.gain == pytest.approx(1.0)


def test_a_median_takes_single_spikes_out() -> None:
    spiked = np.zeros(11)
    spiked[5] = 1.0
    assert (smooth(Smoothing(window=0.2), np.arange(11) * 0.04, spiked) == 0).all()


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(UsageError, match="there are none"):
        fit(TASK, Predictions(()))
    with pytest.raises(UsageError, match="per clip"):
        fit(create_task(TaskConfig(kind="dimensions", outputs=("valence",))), predictions(TRUTH[:, 0]))


def test_a_bundle_keeps_what_was_fitted_and_is_judged_with_it(
    corpus: Manifest, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """A reader that halves everything: its bundle learns to double, on validation clips, and says so."""
    weak = make_bundle(tmp_path / "weak", VALUES, (0.5, -0.5), (0.1, 0.6))
    before = load(weak).model.state_dict()
    specification = fit_smoothing(weak, corpus)
    assert [step.gain for step in specification.smoothing] == pytest.approx([2.0, 2.0], rel=0.05)
    text = specification.smoothing_text()
    bundle = load(weak)
    assert bundle.specification == specification
    assert all((value == before[name]).all() for name, value in bundle.model.state_dict().items())
    assert all(check.ok for check in verify(weak))
    assert (weak / "README.md").read_text().count(f"| smoothed over time | {text} |") == 1

    smoothed, raw = (evaluate(weak, corpus, settings=EvaluationSettings(raw=raw)) for raw in (False, True))
    assert smoothed["ccc"].value > 0.95 > 0.8 > raw["ccc"].value
    expected = apply(specification.smoothing, raw.predictions)
    np.testing.assert_allclose(smoothed.predictions.output, expected.output)
    assert any(f"as fitted on validation clips ({text})" in note for note in smoothed.notes)
    assert not any("smoothed" in note for note in raw.notes)
    # fitting again starts from what the model gives, not from what was smoothed before
    assert fit_smoothing(weak, corpus) == specification
    assert (weak / "README.md").read_text().count("| smoothed over time |") == 1


def test_classes_are_not_smoothed(corpus: Manifest, make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this task is classification per clip"):
        fit_smoothing(make_bundle(tmp_path / "classes", CLASSES, (-1.0, 1.0), (0.0, 0.0)), corpus)
