"""Steps after the model: each is found where it was planted, and none is taken where it does not help."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import UsageError
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.smoothing import Smoothing, apply, fit

TIMES = np.arange(0, 40, 0.04)
TRUTH = np.sin(TIMES)[:, None] * 0.5


def predictions(output: np.ndarray) -> Predictions:
    return Predictions((ClipPrediction("a", output[:, None], TRUTH, TIMES, 1),))


def test_a_late_weak_course_is_put_right() -> None:
    late = predictions(0.2 * np.interp(TIMES - 1.0, TIMES, TRUTH[:, 0]) + 0.3)
    (step,) = fit(late, 1)
    assert step.shift == -1.0
    assert step.gain == pytest.approx(5.0, rel=0.1)
    np.testing.assert_allclose(apply((step,), late).output[50:-50], TRUTH[50:-50], atol=0.05)


def test_noise_is_filtered_and_truth_is_left_alone() -> None:
    noisy = TRUTH[:, 0] + 0.5 * np.random.default_rng(0).standard_normal(len(TIMES))
    assert fit(predictions(noisy), 1)[0].window > 0
    (step,) = fit(predictions(TRUTH[:, 0]), 1)
    assert (step.shift, step.window) == (0.0, 0.0)
    assert step.gain == pytest.approx(1.0)


def test_a_median_takes_single_spikes_out() -> None:
    spiked = np.zeros(11)
    spiked[5] = 1.0
    assert (Smoothing(window=0.2)(np.arange(11) * 0.04, spiked) == 0).all()


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(UsageError, match="frame by frame"):
        fit(Predictions(()), 1)
