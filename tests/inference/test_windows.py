from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.sampling import covering_windows
from mien.inference.windows import Sampling, Stretch, Window, sampling_of
from mien.models.specification import VideoInput

IMAGE = np.zeros((1, 1, 3), np.uint8)


def picture(index: int) -> np.ndarray:
    return np.full((1, 1, 3), index % 256, np.uint8)


def windows_of(sampling: Sampling, frames: list[int]) -> list[Window]:
    stretch = Stretch(7, sampling, frames[0])
    found = []
    for index in frames:
        if stretch.wants(index):
            found += stretch.push(index, float(sampling.times[index]), picture(index))
    return found + list(stretch.finish())


def indices(windows: list[Window]) -> list[list[int]]:
    return [[sample.index for sample in window.samples] for window in windows]


def test_stride_hop_and_the_last_window() -> None:
    sampling = sampling_of(VideoInput(frames=4, stride=2), np.arange(40) / 25, None, 8.0)
    assert indices(windows_of(sampling, list(range(3, 16)))) == [[3, 5, 7, 9], [7, 9, 11, 13], [9, 11, 13, 15]]


def test_a_short_stretch_repeats_its_last_picture() -> None:
    sampling = sampling_of(VideoInput(frames=4, stride=2), np.arange(40) / 25, None, 8.0)
    (window,) = windows_of(sampling, [3, 4, 5])
    assert indices([window]) == [[3, 5, 5, 5]]
    assert window.valid == 2
    (single,) = windows_of(sampling, [9])
    assert indices([single]) == [[9] * 4]


def test_a_model_of_any_length_gets_short_stretches_as_they_are() -> None:
    sampling = sampling_of(VideoInput(frames=None, stride=1), np.arange(300) / 25, None, 8.0)
    assert sampling.frames == 200
    assert indices(windows_of(sampling, [3, 4, 5])) == [[3, 4, 5]]


def test_a_gap_repeats_the_picture_before_and_is_marked() -> None:
    sampling = sampling_of(VideoInput(frames=4, stride=2), np.arange(40) / 25, None, 8.0)
    (window,) = windows_of(sampling, [0, 1, 2, 5, 6])
    assert [(s.index, int(s.image[0, 0, 0]), s.present) for s in window.samples] == [
        (0, 0, True),
        (2, 2, True),
        (4, 2, False),
        (6, 6, True),
    ]
    assert [s.time for s in window.samples] == [0.0, 0.08, 0.16, 0.24]


def test_times_and_end() -> None:
    sampling = sampling_of(VideoInput(frames=2, stride=2), np.arange(40) / 25, None, 8.0)
    (window,) = windows_of(sampling, [0, 1, 2, 3])
    assert window.start == 0.0
    assert window.end == pytest.approx(0.16)


def test_fps_goes_by_presentation_time() -> None:
    """A recording whose rate changes from 10 to 50 frames per second, seen at 5 per second."""
    times = np.concatenate([np.arange(10) / 10, 1 + np.arange(50) / 50])
    sampling = sampling_of(VideoInput(frames=10, stride=None, fps=5.0), times, None, 8.0)
    (window,) = windows_of(sampling, list(range(60)))
    np.testing.assert_allclose([s.time for s in window.samples], np.arange(10) / 5, atol=1e-9)


def test_a_slow_recording_repeats_frames() -> None:
    sampling = sampling_of(VideoInput(frames=4, stride=None, fps=20.0), np.arange(5) / 5, None, 8.0)
    assert indices(windows_of(sampling, [0, 1, 2, 3, 4]))[0] == [0, 0, 0, 1]


@given(
    st.integers(1, 90),
    st.integers(1, 9),
    st.one_of(st.integers(1, 5), st.floats(3.0, 60.0)),
    st.floats(5.0, 60.0),
)
def test_windows_are_those_of_evaluation(count: int, length: int, density: float, rate: float) -> None:
    """The streamed windows equal the ones that the data room cuts out of a finished clip."""
    times = np.arange(count) / rate
    video = (
        VideoInput(frames=length, stride=density)
        if isinstance(density, int)
        else VideoInput(frames=length, stride=None, fps=density)
    )
    sampling = sampling_of(video, times, None, 8.0)
    expected = [list(view.indices) for view in covering_windows(times, video, 1 - max(length // 2, 1) / length)]
    assert indices(windows_of(sampling, list(range(count)))) == expected


def test_memory_holds_one_window_and_a_hop() -> None:
    sampling = sampling_of(VideoInput(frames=8, stride=1), np.arange(5000) / 25, None, 8.0)
    stretch = Stretch(0, sampling, 0)
    for index in range(5000):
        list(stretch.push(index, index / 25, IMAGE))
        assert len(stretch._held) <= 8 + 4
