"""Sampling: hand-worked windows, the published test views, and properties over random clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.sampling import (
    CoveringWindows,
    EvenViews,
    RandomWindow,
    covering_windows,
    even_views,
    grid,
    random_window,
)
from mien.models.specification import VideoInput

RNG = np.random.default_rng


def clock(count: int, fps: float = 25.0) -> np.ndarray:
    return np.arange(count) / fps


def by_stride(frames: int | None, stride: int) -> VideoInput:
    return VideoInput(frames=frames, stride=stride)


def by_rate(frames: int | None, fps: float) -> VideoInput:
    return VideoInput(frames=frames, fps=fps)


def test_training_window_reaches_every_start() -> None:
    """100 frames, 16 of stride 4 span 61: starts 0..39, all equally likely."""
    starts = [int(random_window(clock(100), by_stride(16, 4), RNG(seed)).indices[0]) for seed in range(2000)]
    assert set(starts) == set(range(40))
    counts = np.bincount(starts, minlength=40)
    assert np.sum((counts - 50) ** 2 / 50) < 72  # chi-square, 39 degrees of freedom, p about 0.001


def test_training_window_is_evenly_strided() -> None:
    indices = random_window(clock(70), by_stride(16, 4), RNG(0)).indices
    assert np.diff(indices).tolist() == [4] * 15


@pytest.mark.parametrize(
    ("count", "stride", "expected", "valid"),
    [
        (1, 4, [0] * 8, 1),
        (3, 1, [0, 1, 2, 2, 2, 2, 2, 2], 3),
        (10, 4, [0, 4, 8, 8, 8, 8, 8, 8], 3),
        (29, 4, [0, 4, 8, 12, 16, 20, 24, 28], 8),
    ],
)
def test_short_clips_start_at_zero_and_repeat_their_last_frame(
    count: int, stride: int, expected: list[int], valid: int
) -> None:
    for views in (
        [random_window(clock(count), by_stride(8, stride), RNG(1))],
        even_views(clock(count), by_stride(8, stride), 3),
    ):
        assert len(views) == 1, "equal views are taken once"
        assert views[0].indices.tolist() == expected
        assert views[0].valid == valid


@pytest.mark.parametrize("count", [16, 40, 63, 64, 65, 100, 333])
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("segments", [2, 5])
def test_even_views_follow_the_published_rule(count: int, stride: int, segments: int) -> None:
    """Every r-th frame, the last repeated up to 16; segment c starts at int(c * (len - 16) / (segments - 1))."""
    frames = list(range(0, count, stride))
    frames += [frames[-1]] * (16 - len(frames))
    step = max((len(frames) - 16) / (segments - 1), 0)
    expected = [frames[int(c * step) : int(c * step) + 16] for c in range(segments)]
    distinct = [list(view) for view in dict.fromkeys(map(tuple, expected))]
    assert [view.indices.tolist() for view in even_views(clock(count), by_stride(16, stride), segments)] == distinct


def test_one_segment_is_the_middle() -> None:
    assert even_views(clock(21), by_stride(5, 1), 1)[0].indices.tolist() == [8, 9, 10, 11, 12]


def test_crops_only_where_the_picture_is_not_square() -> None:
    sampling, video = EvenViews(segments=2, crops=3), by_stride(4, 1)
    square = sampling.views(clock(40), 1.0, video, RNG(0))
    wide = sampling.views(clock(40), 16 / 9, video, RNG(0))
    assert [view.crop for view in square] == [None, None]
    assert [view.crop for view in wide] == [0.0, 0.5, 1.0] * 2
    assert EvenViews(segments=1).views(clock(40), 16 / 9, video, RNG(0))[0].crop is None


def test_rate_picks_the_nearest_frame_in_time() -> None:
    """Ticks at 0, 0.2, 0.4, 0.6, 0.8 and 1.0 s; 0.4 s is nearer to 0.5 s than to 0.21 s, 0.8 s to 1.0 s."""
    times = np.array([0.0, 0.1, 0.21, 0.5, 0.52, 1.0])
    assert grid(times, by_rate(4, 5)).tolist() == [0, 2, 3, 4, 5, 5]


def test_rate_sampling_sees_the_same_moments_whatever_the_recording_rate() -> None:
    video = by_rate(16, 10)
    for fps in (25, 30, 29.97, 50, 60):
        times = clock(int(fps * 8), fps)
        for view in even_views(times, video, 3):
            shown = times[view.indices]
            assert np.abs(np.diff(shown) - 0.1).max() <= 1 / fps + 1e-9
            assert view.valid == 16


def test_rate_above_the_recording_repeats_frames() -> None:
    assert grid(clock(4, 5), by_rate(None, 10)).tolist() in ([0, 0, 1, 1, 2, 2, 3], [0, 1, 1, 2, 2, 3, 3])


def test_any_length_takes_everything() -> None:
    video = by_stride(None, 1)
    for views in (
        [random_window(clock(7), video, RNG(0))],
        even_views(clock(7), video, 4),
        covering_windows(clock(7), video, 0.5),
    ):
        assert [view.indices.tolist() for view in views] == [list(range(7))]
        assert views[0].valid == 7


def test_covering_windows_by_hand() -> None:
    views = covering_windows(clock(11), by_stride(4, 1), 0.5)
    assert [view.indices.tolist() for view in views] == [
        [0, 1, 2, 3],
        [2, 3, 4, 5],
        [4, 5, 6, 7],
        [6, 7, 8, 9],
        [7, 8, 9, 10],
    ]


times_ = st.lists(st.floats(0.001, 0.5), min_size=1, max_size=80).map(lambda gaps: np.cumsum([0.0, *gaps]))
videos = st.one_of(
    st.builds(by_stride, st.integers(1, 20), st.integers(1, 6)),
    st.builds(by_rate, st.integers(1, 20), st.floats(1, 40)),
)


@settings(max_examples=150)
@given(times_, videos, st.integers(0, 2**31))
def test_every_view_is_ascending_inside_the_clip_and_of_the_right_length(
    times: np.ndarray, video: VideoInput, seed: int
) -> None:
    for sampling in (RandomWindow(), EvenViews(segments=3), CoveringWindows(overlap=0.5)):
        views = sampling.views(times, 1.0, video, RNG(seed))
        assert views
        for view in views:
            assert len(view.indices) == video.frames
            assert (np.diff(view.indices) >= 0).all()
            assert view.indices[0] >= 0
            assert view.indices[-1] < len(times)
            assert 1 <= view.valid <= len(view.indices)
            assert (view.indices[view.valid :] == view.indices[-1]).all()
    keys = [tuple(view.indices) for view in EvenViews(segments=4).views(times, 1.0, video, RNG(0))]
    assert len(set(keys)) == len(keys) or video.fps is not None
    covered = {index for view in CoveringWindows().views(times, 1.0, video, RNG(0)) for index in view.indices.tolist()}
    assert covered == set(grid(times, video).tolist())
