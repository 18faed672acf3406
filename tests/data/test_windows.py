"""Published random windows: hand-worked ones, and what holds for all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.sampling import RandomWindow
from mien.data.windows import stretched_window, strided_window
from mien.errors import UsageError
from mien.models.specification import VideoInput


@given(count=st.integers(1, 300), stride=st.integers(1, 8), seed=st.integers(0, 2**31))
def test_windows_ascend_inside_the_clip(count: int, stride: int, seed: int) -> None:
    for draw in (strided_window, stretched_window):
        indices = draw(count, 16, stride, np.random.default_rng(seed))
        assert indices.shape == (16,)
        assert indices.min() >= 0
        assert indices.max() < count
        assert (np.diff(indices) >= 0).all()


def test_a_long_clip_by_hand() -> None:
    """40 frames, 4 of stride 5: a stretch of 20; points of a stretch that starts at 0 are 0, 6.67, 13.33 and 20."""
    starts = {int(strided_window(40, 4, 5, np.random.default_rng(seed))[0]) for seed in range(400)}
    assert starts == set(range(21))
    first = next(w for seed in range(400) if (w := stretched_window(40, 4, 5, np.random.default_rng(seed)))[0] == 0)
    assert first.tolist() == [0, 6, 13, 19]


def test_a_short_clip_by_hand() -> None:
    """Ten frames at stride 4: the last one is never reached, and two points spread over the whole clip."""
    rng = np.random.default_rng(0)
    assert strided_window(10, 4, 4, rng).tolist() == [0, 4, 8, 8]
    assert strided_window(9, 4, 4, rng).tolist() == [0, 4, 4, 4]
    assert stretched_window(10, 4, 4, rng).tolist() == [0, 9, 9, 9]


@pytest.mark.parametrize("rule", ["strides", "stretched"])
def test_the_rule_reaches_the_views(rule: str) -> None:
    times = np.arange(10) / 25
    (view,) = RandomWindow(rule=rule).views(times, 1.0, VideoInput(frames=4, stride=4), np.random.default_rng(0))
    assert view.valid == {"strides": 3, "stretched": 2}[rule]
    with pytest.raises(UsageError, match="count frames"):
        RandomWindow(rule=rule).views(times, 1.0, VideoInput(frames=4, fps=5), np.random.default_rng(0))
