from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.inference.boxes import TOLERANCE, BoxTrail


def trail_of(boxes: np.ndarray, fps: float = 25.0, gone: range = range(0)) -> np.ndarray:
    trail = BoxTrail()
    for index, box in enumerate(boxes):
        if index not in gone:
            trail.add(index / fps, box, 0.9, (index + 1) / fps)
    return trail.samples()


def line(count: int) -> np.ndarray:
    return np.array([10.0, 20, 60, 80]) + np.arange(count)[:, None] * np.array([1.0, 0.5, 1.0, 0.5])


def test_a_straight_way_needs_few_samples() -> None:
    samples = trail_of(line(40))
    assert len(samples) == 3  # first, last, and the mark of the end
    np.testing.assert_allclose(samples[[0, 1], 0], [0.0, 39 / 25])
    np.testing.assert_allclose(samples[2, 0], 40 / 25)
    assert np.isnan(samples[2, 1:]).all()


def test_a_gap_is_marked() -> None:
    samples = trail_of(line(40), gone=range(10, 20))
    ends = samples[np.isnan(samples[:, 1]), 0]
    np.testing.assert_allclose(ends, [10 / 25, 40 / 25])


def test_one_frame() -> None:
    samples = trail_of(line(1))
    np.testing.assert_allclose(samples[0], [0.0, 10, 20, 60, 80, 0.9])
    assert np.isnan(samples[1, 1])


def test_nothing() -> None:
    assert BoxTrail().samples().shape == (0, 6)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=150))
def test_every_box_lies_near_the_kept_lines(steps: list[float]) -> None:
    boxes = np.array([100.0, 100, 150, 180]) + np.cumsum(steps)[:, None]
    samples = trail_of(boxes)
    kept = samples[~np.isnan(samples[:, 1])]
    times = np.arange(len(boxes)) / 25
    for edge in range(4):
        drawn = np.interp(times, kept[:, 0], kept[:, 1 + edge])
        assert np.abs(drawn - boxes[:, edge]).max() <= TOLERANCE * 80 + 1e-9


@pytest.mark.parametrize("count", [2, 10_000])
def test_a_face_that_stands_still_is_cheap(count: int) -> None:
    samples = trail_of(np.repeat(line(1), count, axis=0))
    assert len(samples) <= 3 + count / 45
