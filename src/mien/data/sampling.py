"""Which frames of a clip a model sees: pure functions of presentation times and a generator.

A view is one model input cut from a clip. Training draws one at random; tests take evenly spaced ones, or cover the
clip with overlapping ones where every frame needs an answer. Views that would be the same are taken once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.data.windows import Indices, WindowRule, published_window
from mien.models.specification import VideoInput

Times = NDArray[np.float64]
PART = 512  # frames of a long clip that are read at once
WHOLE = 2048  # frames that a model of any length sees at once


@dataclass(frozen=True)
class View:
    """One model input.

    Attributes:
        indices: int64 ``(T,)`` positions in the clip's list of frames, ascending; the last one repeats in short clips.
        crop: where along the longer side of a picture that is not square the square is cut: 0 first, 0.5 middle,
            1 last; None leaves that to the transform.
        valid: how many of the leading indices are frames of their own (the rest repeat the last one).
        answers: first and last + 1 position whose answers count, where other items of the clip answer for the others;
            None: all.
    """

    indices: Indices
    crop: float | None = None
    valid: int = 0
    answers: tuple[int, int] | None = None


class Sampling(Protocol):
    """Cuts views out of a clip; ``repeats`` items are made of every clip in an epoch."""

    @property
    def repeats(self) -> int:
        """Items of every clip in an epoch, 1 or more."""
        ...

    def views(self, times: Times, aspect: float, video: VideoInput, rng: np.random.Generator) -> list[View]:
        """Views of a clip.

        Args:
            times: ``(N,)`` ascending presentation times of the clip's frames, N >= 1.
            aspect: longer side of the picture over its shorter side.
            video: length and density of a view.
            rng: where a choice is random.
        """
        ...


@dataclass(frozen=True)
class RandomWindow:
    """Training: one window with a random start.

    Attributes:
        repeats: windows drawn from every clip in an epoch, for long files with annotation over time.
        rule: ``any`` start that fits; ``strides`` and ``stretched`` are the published rules, see ``mien.data.windows``.
    """

    repeats: int = 1
    rule: WindowRule = "any"

    def views(self, times: Times, aspect: float, video: VideoInput, rng: np.random.Generator) -> list[View]:
        """See ``Sampling.views``: one view."""
        if self.rule == "any":
            return [random_window(times, video, rng)]
        indices = published_window(self.rule, len(times), video, rng)
        return [View(indices, valid=len(np.unique(indices)))]


@dataclass(frozen=True)
class EvenViews:
    """Test: ``segments`` windows from the first to the last possible start, times ``crops`` across the picture.

    Attributes:
        segments: windows over time; 1 takes the middle of the clip.
        crops: squares along the longer side of the picture; square pictures have one whatever is asked for.
    """

    segments: int = 2
    crops: int = 1
    repeats: int = 1

    def views(self, times: Times, aspect: float, video: VideoInput, rng: np.random.Generator) -> list[View]:
        """See ``Sampling.views``: ``segments`` times ``crops`` views, window by window."""
        return even_views(times, video, self.segments, self.crops if aspect > 1 else 1)


@dataclass(frozen=True)
class CoveringWindows:
    """Per-frame test: windows that together hold every frame of the clip's grid.

    A long clip is read in parts, so that memory does not grow with it. Every part answers for its own frames and sees
    all windows that touch them, so the answers are those of the clip as a whole.

    Attributes:
        overlap: share of a window that the next one sees again. Models of any length get ``WHOLE`` frames at once.
        part: which one; None takes the whole clip.
    """

    overlap: float = 0.5
    part: int | None = None
    repeats: int = 1

    def parts(self, times: Times, video: VideoInput) -> int:
        """Parts of a clip."""
        return max(1, -(-len(grid(times, video)) // _part_frames(video)))

    def views(self, times: Times, aspect: float, video: VideoInput, rng: np.random.Generator) -> list[View]:
        """See ``Sampling.views``: windows in order of time, of the whole clip or of ``part``."""
        frames = grid(times, video)
        length = video.frames or min(len(frames), WHOLE)
        starts = covering_starts(len(frames), length, self.overlap)
        if self.part is None:
            return [_window(frames, start, length) for start in starts]
        low, high = self.part * _part_frames(video), (self.part + 1) * _part_frames(video)
        return [
            replace(_window(frames, start, length), answers=(max(low - start, 0), min(high - start, length)))
            for start in starts
            if start < high and start + length > low
        ]


def grid(times: Times, video: VideoInput, offset: int = 0) -> Indices:
    """Frames of the whole clip at the model's density, starting at frame ``offset``.

    ``stride`` takes every n-th frame. ``fps`` takes, for each tick of a clock that starts at the first frame, the
    frame nearest in time; frames repeat where the recording is slower than the model.
    """
    if video.stride is not None:
        return np.arange(offset, len(times), video.stride, dtype=np.int64)
    assert video.fps is not None
    ticks = int(np.floor((times[-1] - times[offset]) * video.fps + 1e-6)) + 1
    return _nearest(times, times[offset] + np.arange(ticks) / video.fps)


def random_window(times: Times, video: VideoInput, rng: np.random.Generator) -> View:
    """A window of ``video.frames`` frames whose start is uniform over all starts that fit.

    A clip too short for one window starts at its first frame and repeats its last frame on the grid.
    ``frames=None`` gives the whole clip.
    """
    if video.frames is None:
        whole = grid(times, video)
        return View(whole, valid=len(whole))
    if video.stride is not None:
        starts = len(times) - (video.frames - 1) * video.stride
        offset = int(rng.integers(starts)) if starts > 1 else 0
        return _window(grid(times, video, offset), 0, video.frames)
    assert video.fps is not None
    slack = times[-1] - times[0] - (video.frames - 1) / video.fps
    if slack <= 0:
        return _window(grid(times, video), 0, video.frames)
    start = times[0] + rng.uniform(0.0, slack)
    indices = _nearest(times, start + np.arange(video.frames) / video.fps)
    return View(indices, valid=len(indices))


def even_views(times: Times, video: VideoInput, segments: int, crops: int = 1) -> list[View]:
    """Views with evenly spaced starts, first to last (the middle one for a single segment), crops for each."""
    if video.frames is None:
        windows = covering_windows(times, video, 0.0)
    else:
        frames = grid(times, video)
        last = max(len(frames) - video.frames, 0)
        starts = [last // 2] if segments == 1 else [int(last * segment / (segments - 1)) for segment in range(segments)]
        windows = [_window(frames, start, video.frames) for start in dict.fromkeys(starts)]
    places: list[float | None] = [None] if crops == 1 else [crop / (crops - 1) for crop in range(crops)]
    return [View(window.indices, place, window.valid) for window in windows for place in places]


def covering_windows(times: Times, video: VideoInput, overlap: float) -> list[View]:
    """Overlapping windows over the whole grid; the last one ends at the clip's last frame on the grid."""
    frames = grid(times, video)
    length = video.frames or len(frames)
    return [_window(frames, start, length) for start in covering_starts(len(frames), length, overlap)]


def covering_starts(frames: int, length: int, overlap: float) -> list[int]:
    """Starts of windows of ``length`` over a grid of ``frames``."""
    if frames <= length:
        return [0]
    hop = max(1, round(length * (1 - overlap)))
    last = frames - length
    return list(dict.fromkeys([*range(0, last, hop), last]))


def _part_frames(video: VideoInput) -> int:
    """Frames that one part of a long clip answers for."""
    return max(PART, video.frames or WHOLE)


def _window(frames: Indices, start: int, length: int) -> View:
    taken = frames[start : start + length]
    missing = length - len(taken)
    return View(np.concatenate([taken, np.repeat(taken[-1:], missing)]), valid=len(taken))


def _nearest(times: Times, wanted: NDArray[np.float64]) -> Indices:
    """Index of the frame nearest to each wanted time; the earlier one of two equally near."""
    right = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(times) - 1)
    later = (times[right] - wanted) < (wanted - times[left]) - 1e-9
    nearest: Indices = np.where(later, right, left).astype(np.int64)
    return nearest
