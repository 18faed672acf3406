"""Risk-coverage curves: hand-worked, against a loop, and with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.evaluation.selective import risk_coverage, risk_coverage_picture


def two_classes(confidence: list[float], right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    p = np.array([[c, 1 - c] for c in confidence])
    return np.array([0 if one else 1 for one in right]), p


def test_hand_worked() -> None:
    curve = risk_coverage(*two_classes([0.9, 0.8, 0.7, 0.6], [True, False, True, False]))
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.risk, [0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert curve.ideal == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert curve.at(0.7) == pytest.approx((0.75, 1 / 3, 0.7))
    assert [row["coverage"] for row in curve.table()] == [0.5, 0.75, 0.75, 1.0, 1.0, 1.0]


def test_equal_confidence_is_answered_together() -> None:
    curve = risk_coverage(*two_classes([0.9, 0.7, 0.7, 0.7], [True, False, True, True]))
    np.testing.assert_allclose(curve.coverage, [0.25, 1.0])
    np.testing.assert_allclose(curve.risk, [0.0, 0.25])


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_every_point_is_the_error_of_those_above_a_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([1, 1, 1], size=30).round(1)
    truth = rng.integers(-1, 3, size=30)
    truth[0] = 0
    curve = risk_coverage(truth, p)
    known, sure, wrong = truth >= 0, p.max(axis=1), p.argmax(axis=1) != truth
    for coverage, risk, least in zip(curve.coverage, curve.risk, curve.confidence, strict=True):
        kept = known & (sure >= least)
        assert coverage == pytest.approx(kept.sum() / known.sum())
        assert risk == pytest.approx(wrong[kept].mean())
    assert curve.coverage[-1] == 1


def test_the_picture_tells_its_area() -> None:
    curve = risk_coverage(*two_classes([0.9, 0.8, 0.7, 0.6], [True, False, True, False]))
    (axes,) = risk_coverage_picture(curve).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mean risk 0.333", "all answered 0.500"]


def test_without_truth() -> None:
    with pytest.raises(ValueError, match="no clip has a known class"):
        risk_coverage([-1], [[0.5, 0.5]])
