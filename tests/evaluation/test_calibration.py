"""Calibration against scikit-learn, loops written out, and hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from mien.evaluation.calibration import ambiguity, reliability
from mien.evaluation.metrics import metric


def sample(seed: int, clips: int = 60, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.6), size=clips)
    truth = np.array([rng.choice(classes, p=row) for row in probabilities])
    return truth, probabilities


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_scores_equal_scikit_learn(seed: int) -> None:
    truth, probabilities = sample(seed)
    expected = sk.log_loss(truth, probabilities, labels=range(4))
    assert metric("log_loss")(truth, probabilities) == pytest.approx(expected, rel=1e-9)
    one_hot = np.eye(4)[truth]
    each = [sk.brier_score_loss(one_hot[:, k], probabilities[:, k], pos_label=1) for k in range(4)]
    assert metric("brier")(truth, probabilities) == pytest.approx(sum(each), rel=1e-12)
    right = probabilities.argmax(axis=1) == truth
    if right.any() and not right.all():
        area = sk.roc_auc_score(right, probabilities.max(axis=1))
        assert metric("doubt_auc")(truth, probabilities) == pytest.approx(area, abs=0.02)


def test_doubt_is_exact_on_a_grid_finer_than_the_data() -> None:
    """Confidences that lie in different bins of the histogram: the area is scikit-learn's to rounding."""
    rng = np.random.default_rng(3)
    top = rng.permutation(np.arange(205, 395, 2))[:80] / 400 + 0.0005
    probabilities = np.stack([top, 1 - top], axis=1)
    truth = (rng.random(80) > top).astype(np.int64)
    expected = sk.roc_auc_score(truth == 0, top)
    assert metric("doubt_auc")(truth, probabilities) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_calibration_error_equals_a_plain_loop(seed: int, bins: int) -> None:
    truth, probabilities = sample(seed)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    expected = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    curve = reliability(truth, probabilities, bins)
    assert curve.error == pytest.approx(expected, abs=1e-12)
    assert curve.count.sum() == len(truth)
    if bins == 15:
        assert metric("ece")(truth, probabilities) == pytest.approx(expected, abs=1e-12)


def test_hand_worked_cases() -> None:
    """Four clips said with 0.8, three of them right: |0.8 - 0.75|; Brier 3 (0.04 + 0.04) and 2 * 0.64, over 4."""
    probabilities = np.tile([0.8, 0.2], (4, 1))
    truth = np.array([0, 0, 0, 1])
    assert metric("ece")(truth, probabilities) == pytest.approx(0.05)
    assert metric("brier")(truth, probabilities) == pytest.approx((3 * 0.08 + 1.28) / 4)
    assert metric("doubt_auc")(truth, probabilities) == 0.5
    curve = reliability(truth, probabilities)
    full = np.flatnonzero(curve.count)
    assert (curve.edges[full], curve.edges[full + 1]) == (pytest.approx(11 / 15), pytest.approx(12 / 15))
    assert np.isnan(np.delete(curve.accuracy, full)).all()


def test_what_is_undefined_is_nan() -> None:
    sure = np.eye(3)[[0, 1, 2]]
    assert metric("ece")([0, 1, 2], sure) == 0
    assert np.isnan(metric("doubt_auc")([0, 1, 2], sure))
    for name in ("ece", "brier", "log_loss", "doubt_auc"):
        assert np.isnan(metric(name)([], np.zeros((0, 3))))
    assert np.isnan(reliability([], np.zeros((0, 3))).error)


def test_ambiguity_is_entropy() -> None:
    rows = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.7, 0.2, 0.1]])
    expected = [stats.entropy(row) / np.log(3) for row in rows]
    np.testing.assert_allclose(ambiguity(rows), expected, atol=1e-9)
