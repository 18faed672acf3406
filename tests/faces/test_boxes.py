from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.faces.boxes import overlap, shifted, squared, suppress


def test_overlap_by_hand() -> None:
    one = np.array([[0.0, 0, 10, 10]])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [2, 2, 7, 7], [10, 0, 20, 10], [30, 30, 40, 40]])
    np.testing.assert_allclose(overlap(one, others)[0], [1, 50 / 150, 25 / 100, 0, 0])
    np.testing.assert_allclose(overlap(one, others, "smaller")[0], [1, 0.5, 1, 0, 0])


def test_squared_keeps_centre_and_longer_side() -> None:
    np.testing.assert_allclose(squared(np.array([[10.0, 20, 30, 60]])), [[0, 20, 40, 60]])


def test_shifted_moves_sides_by_shares() -> None:
    moved = shifted(np.array([[10.0, 20, 30, 60]]), np.array([[0.1, -0.1, 0.5, 0.25]]))
    np.testing.assert_allclose(moved, [[12, 16, 40, 70]])


def greedy(boxes: np.ndarray, scores: np.ndarray, limit: float, over: str) -> list[int]:
    """One box after the other, as textbooks have it."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(overlap(boxes[i : i + 1], boxes[j : j + 1], over)[0, 0] <= limit for j in kept):  # type: ignore[arg-type]
            kept.append(int(i))
    return kept


@given(
    corners=arrays(np.float64, st.tuples(st.integers(0, 40), st.just(4)), elements=st.integers(0, 30).map(float)),
    limit=st.sampled_from([0.0, 0.3, 0.5, 0.7]),
    over=st.sampled_from(["union", "smaller"]),
)
def test_suppression_equals_the_textbook(corners: np.ndarray, limit: float, over: str) -> None:
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:] + 1], axis=1)
    scores = np.linspace(0, 1, len(boxes)) * 7 % 1
    assert suppress(boxes, scores, limit, over).tolist() == greedy(boxes, scores, limit, over)  # type: ignore[arg-type]


def test_suppression_walks_long_chains() -> None:
    left = np.arange(60.0) * 4
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)
    kept = suppress(boxes, np.linspace(1, 0.5, 60), 0.3)
    assert kept.tolist() == list(range(0, 60, 2))


@pytest.mark.parametrize("over", ["union", "smaller"])
def test_suppression_of_nothing(over: str) -> None:
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5, over).tolist() == []  # type: ignore[arg-type]
