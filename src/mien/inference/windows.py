"""Windows of a track: which of its pictures the model sees together, found while they stream past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.models.specification import VideoInput


@dataclass(frozen=True)
class Sampling:
    """How a model samples a recording.

    Attributes:
        frames: pictures in a window.
        fixed: whether the model takes no other number; then short stretches repeat their last picture.
        hop: samples from the start of one window to the start of the next, 1..frames.
        stride: every n-th frame, or None where ``fps`` counts.
        fps: samples per second by presentation time, or None.
        times: float64 ``(N,)`` presentation times of the recording's frames.
    """

    frames: int
    fixed: bool
    hop: int
    stride: int | None
    fps: float | None
    times: NDArray[np.float64]

    def ticks(self, first: int) -> Callable[[int], int]:
        """For a stretch that begins at frame ``first``: number of a sample → frame that is taken for it.

        With ``fps`` that is the frame nearest in time, the earlier one of two equally near. Past the end
        of the recording there are no samples: numbers beyond the last frame are returned.
        """
        if self.stride is not None:
            stride = self.stride
            return lambda number: first + number * stride
        assert self.fps is not None
        origin, fps, times = float(self.times[first]), self.fps, self.times

        def nearest(number: int) -> int:
            wanted = origin + number / fps
            if wanted > times[-1] + 1e-6:
                return len(times)
            right = int(np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1)))
            right = min(right, len(times) - 1)
            left = max(right - 1, 0)
            return right if times[right] - wanted < wanted - times[left] - 1e-9 else left

        return nearest

    def spacing(self, frame: int) -> float:
        """Seconds from the sample at ``frame`` to the one after it."""
        if self.fps is not None:
            return 1.0 / self.fps
        assert self.stride is not None
        ahead = min(frame + self.stride, len(self.times) - 1)
        steps = ahead - frame
        if steps:
            return float(self.times[ahead] - self.times[frame]) * self.stride / steps
        usual = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.04
        return usual * self.stride


def sampling_of(video: VideoInput, times: NDArray[np.float64], hop: float | None, window: float) -> Sampling:
    """How ``video`` samples a recording whose frames lie at ``times``.

    Args:
        hop: seconds between windows; None takes half a window.
        window: seconds of a window where the model takes any length.
    """
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    spacing = 1.0 / video.fps if video.fps is not None else usual * (video.stride or 1)
    frames = video.frames or max(round(window / spacing), 1)
    step = max(frames // 2, 1) if hop is None else int(np.clip(round(hop / spacing), 1, frames))
    return Sampling(frames, video.frames is not None, step, video.stride, video.fps, times)


@dataclass(frozen=True)
class Sample:
    """One picture that the model may see: frame number, its time, the picture, and whether the face was there.

    Where it was not, the picture is the one before. ``landmarks`` are shares of the picture, None where not known.
    """

    index: int
    time: float
    image: NDArray[np.uint8]
    present: bool
    landmarks: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Window:
    """What one forward pass sees of one track.

    Attributes:
        track: its id.
        samples: ``Sampling.frames`` of them; a stretch too short for that repeats its last sample where the
            model needs them all.
        valid: how many of them are samples of their own.
        end: seconds at which what it shows ends (the last sample's time plus the usual spacing).
        settled: seconds before which no later window of this stretch shows anything.
    """

    track: int
    samples: tuple[Sample, ...]
    valid: int
    end: float
    settled: float

    @property
    def start(self) -> float:
        """Seconds at which it begins."""
        return self.samples[0].time


@dataclass
class Stretch:
    """The unbroken presence of one track: takes its pictures in order and gives windows as soon as they are full.

    Memory holds at most one window and a hop of pictures.
    """

    track: int
    sampling: Sampling
    first: int
    _held: list[Sample] = field(default_factory=list)
    _base: int = 0  # number of the sample that _held[0] is
    _start: int = 0  # number of the sample at which the next window begins
    _windows: int = 0

    def __post_init__(self) -> None:
        self._tick = self.sampling.ticks(self.first)
        self._wanted = self._tick(0)

    @property
    def oldest(self) -> float:
        """Seconds at which the earliest window that may still come begins."""
        return self._held[0].time if self._held else float(self.sampling.times[self.first])

    def wants(self, index: int) -> bool:
        """Whether the picture of frame ``index`` will be seen by the model."""
        return index >= self._wanted

    def push(
        self, index: int, time: float, image: NDArray[np.uint8], landmarks: NDArray[np.float64] | None = None
    ) -> Iterator[Window]:
        """Take the picture of frame ``index``; samples that fell into a gap before it repeat the one before."""
        while self._wanted <= index:
            if self._wanted == index:
                self._held.append(Sample(index, time, image, True, landmarks))
            else:
                before = self._held[-1]
                moment = float(self.sampling.times[self._wanted])
                self._held.append(Sample(self._wanted, moment, before.image, False, before.landmarks))
            self._wanted = self._tick(self._base + len(self._held))
            yield from self._full()

    def finish(self) -> Iterator[Window]:
        """The last window, once the face has gone: it ends at the last sample, or repeats it where they are too few."""
        count = self._base + len(self._held)
        length = self.sampling.frames
        if self._windows == 0:
            yield self._window(0, count)
        elif self._start - self.sampling.hop + length < count:
            yield self._window(count - length, length)

    def _full(self) -> Iterator[Window]:
        while self._start + self.sampling.frames <= self._base + len(self._held):
            window = self._window(self._start, self.sampling.frames)
            self._start += self.sampling.hop
            self._windows += 1
            # the last window of all may begin right after this one did
            done = self._start - self.sampling.hop + 1 - self._base
            yield window
            del self._held[:done]
            self._base += done

    def _window(self, start: int, valid: int) -> Window:
        taken = self._held[start - self._base : start - self._base + valid]
        missing = self.sampling.frames - valid if self.sampling.fixed else 0
        samples = taken + taken[-1:] * missing
        end = taken[-1].time + self.sampling.spacing(min(taken[-1].index, len(self.sampling.times) - 1))
        # windows that follow begin at least one sample later
        follows = taken[1].time if len(taken) > 1 else end
        return Window(self.track, tuple(samples), valid, end, follows)
