from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.inference.grid import frame_grid, regular_grid

TIMES = np.arange(50) / 25.0


def test_regular_cells_end_with_the_recording() -> None:
    np.testing.assert_allclose(regular_grid(TIMES, 2.0, 0.2).edges, np.arange(11) * 0.2)
    np.testing.assert_allclose(regular_grid(TIMES, 0.5, 0.2).edges, [0, 0.2, 0.4, 0.5])
    np.testing.assert_allclose(regular_grid(TIMES, 0.04, 0.2).edges, [0, 0.04])


def test_a_cell_per_frame() -> None:
    grid = frame_grid(np.array([0.0, 0.1, 0.4]), 0.5)
    np.testing.assert_allclose(grid.edges, [0, 0.1, 0.4, 0.5])
    assert len(frame_grid(np.array([0.0]), 0.0)) == 1  # one picture without a length


def test_cells_that_a_span_touches() -> None:
    grid = regular_grid(TIMES, 2.0, 0.5)
    assert grid.cells(0.0, 2.0) == (0, 4)
    assert grid.cells(0.5, 1.0) == (1, 2)
    assert grid.cells(0.4, 0.6) == (0, 2)
    assert grid.cells(1.9, 7.0) == (3, 4)


def test_frames_in_spans() -> None:
    grid = regular_grid(np.array([0.0, 0.5, 0.6]), 1.0, 0.2)
    start, end = grid.edges[:-1], grid.edges[1:]
    first, last = grid.frames_in(start, end)
    # no frame begins in 0.2-0.4 (the first is shown) nor in 0.8-1.0 (the third is)
    assert list(zip(first, last, strict=True)) == [(0, 1), (0, 1), (1, 2), (2, 3), (2, 3)]


@given(st.floats(0.01, 100), st.floats(0.02, 7))
def test_cells_are_ascending_and_cover_the_recording(duration: float, step: float) -> None:
    edges = regular_grid(TIMES, duration, step).edges
    assert edges[0] == 0
    assert edges[-1] == pytest.approx(duration, abs=2e-6 * step)
    assert (np.diff(edges) > 0).all()
    assert np.diff(edges).max() <= step * (1 + 1e-5)
