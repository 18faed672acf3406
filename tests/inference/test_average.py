from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from mien.inference.average import FLOOR, TrackRows, weight_between
from mien.inference.grid import Grid, frame_grid, regular_grid
from mien.inference.timeline import NOBODY

TIMES = np.arange(100) / 25.0
ALL = np.inf


def grid(step: float = 0.2) -> Grid:
    return regular_grid(TIMES, 4.0, step)


def track(first: int, last: int, step: float = 0.2, width: int = 1, gap: range = range(0)) -> TrackRows:
    rows = TrackRows(3, TIMES[first], grid(step), width)
    for index in range(first, last):
        if index not in gap:
            rows.see(index)
    return rows


def test_weight_is_the_integral_of_a_triangle() -> None:
    def density(t: float) -> float:
        return max(1 - abs(t - 2.0) / 1.0, FLOOR)

    for start, end in [(1.0, 3.0), (1.0, 1.2), (1.02, 1.04), (1.9, 2.1), (2.5, 3.0)]:
        expected = quad(density, start, end, points=[1 + FLOOR, 2.0, 3 - FLOOR])[0]
        found = weight_between(np.array([start]), np.array([end]), 1.0, 3.0)[0]
        assert found == pytest.approx(expected, rel=1e-6)


def test_one_window_gives_its_value_everywhere_in_the_track() -> None:
    rows = track(0, 50)
    rows.add(0.0, 2.0, np.array([1.0]), np.array([[0.7]]))
    block = rows.take(ALL, last=True)
    assert block is not None
    np.testing.assert_allclose(block.values[:, 0], 0.7)
    np.testing.assert_allclose([block.start[0], block.end[-1]], [0.0, 2.0])
    assert block.used == ["video"] * 10


def test_two_windows_half_apart_pass_over_linearly() -> None:
    rows = TrackRows(0, 0.0, regular_grid(TIMES, 3.0, 0.02), 1)
    for index in range(75):
        rows.see(index)
    rows.add(0.0, 2.0, np.array([1.0]), np.array([[0.0]]))
    rows.add(1.0, 3.0, np.array([2.0]), np.array([[1.0]]))
    block = rows.take(ALL, last=True)
    assert block is not None
    centre = (block.start + block.end) / 2
    inside = (centre > 1.06) & (centre < 1.94)  # away from the floor of the weights
    np.testing.assert_allclose(block.values[inside, 0], centre[inside] - 1, atol=1e-6)
    np.testing.assert_allclose(block.values[centre < 1, 0], 0.0)
    np.testing.assert_allclose(block.values[centre > 2, 0], 1.0)


def test_values_over_time_are_read_at_the_rows() -> None:
    rows = TrackRows(0, 0.0, frame_grid(TIMES, 4.0), 1)
    for index in range(50):
        rows.see(index)
    samples = TIMES[:50:2]
    rows.add(0.0, 2.0, samples, samples[:, None] * 10)
    block = rows.take(ALL, last=True)
    assert block is not None
    centres = block.start + 0.02
    np.testing.assert_allclose(block.values[:, 0], np.minimum(centres, samples[-1]) * 10, atol=1e-6)


def test_the_first_and_last_row_are_cut_to_the_track() -> None:
    rows = track(24, 77)  # 0.96 s .. 3.08 s
    rows.add(0.96, 3.08, np.array([2.0]), np.array([[1.0]]))
    block = rows.take(ALL, last=True)
    assert block is not None
    np.testing.assert_allclose(block.start[:2], [0.96, 1.0])
    np.testing.assert_allclose(block.end[-2:], [3.0, 3.08])
    np.testing.assert_allclose(block.face, 1.0)


def test_a_gap_is_nan_and_its_borders_tell_the_share() -> None:
    rows = track(0, 50, gap=range(12, 30))  # away from 0.48 s to 1.2 s
    rows.add(0.0, 2.0, np.array([1.0]), np.array([[1.0]]))
    block = rows.take(ALL, last=True)
    assert block is not None
    np.testing.assert_allclose(block.face, [1, 1, 0.4, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(np.isnan(block.values[:, 0]), block.face == 0)
    assert [word == "" for word in block.used] == [share == 0 for share in block.face]


def test_rows_come_in_pieces_that_equal_the_whole() -> None:
    answers = [(start, np.random.default_rng(i).normal(size=(1, 3))) for i, start in enumerate(np.arange(0, 3, 0.5))]

    def run(pieces: bool) -> np.ndarray:
        rows = TrackRows(0, 0.0, grid(), 3)
        blocks = []
        seen = 0
        for start, values in answers:
            while seen < 100 and TIMES[seen] < start + 1.0:
                rows.see(seen)
                seen += 1
            rows.add(start, start + 1.0, np.array([start + 0.5]), values)
            block = rows.take(start + 0.04) if pieces else None
            if block is not None:
                blocks.append(block)
        blocks.append(rows.take(ALL, last=True))
        return np.concatenate([np.column_stack([b.start, b.end, b.face, b.values]) for b in blocks if b is not None])

    np.testing.assert_allclose(run(pieces=True), run(pieces=False))


def test_a_row_wider_than_a_window_averages_all_windows() -> None:
    rows = TrackRows(0, 0.0, regular_grid(TIMES, 4.0, 4.0), 1)
    for index in range(100):
        rows.see(index)
    for start, value in enumerate((0.0, 1.0, 2.0, 3.0)):
        rows.add(start, start + 1, np.array([start + 0.5]), np.array([[value]]))
    block = rows.take(ALL, last=True)
    assert block is not None
    np.testing.assert_allclose(block.values, [[1.5]])


def test_a_face_between_two_windows_keeps_the_value_before() -> None:
    rows = track(0, 50)
    rows.add(0.0, 1.0, np.array([0.5]), np.array([[0.3]]))
    block = rows.take(ALL, last=True)
    assert block is not None
    np.testing.assert_allclose(block.values[:, 0], 0.3)


def test_sound_without_a_face() -> None:
    rows = TrackRows(NOBODY, 0.5, grid(), 1)
    rows.reach(1.5)
    rows.add(0.5, 1.0, np.array([0.75]), np.array([[0.2]]), heard=(0.5, 1.0))
    block = rows.take(ALL, last=True)
    assert block is not None
    assert block.used == ["sound", "sound", "sound", "", "", ""]
    np.testing.assert_allclose(block.start, [0.5, 0.6, 0.8, 1.0, 1.2, 1.4])
    assert (block.face == 0).all()
