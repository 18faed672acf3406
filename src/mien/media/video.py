"""Reading pictures by presentation time: streamed, by index or by time, always the sequential decoder's frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError
from mien.media.decoder import FrameDecoder, HeldPackets
from mien.media.files import check_file
from mien.media.limits import LIMITS, Limits, WorkClock
from mien.media.picture import Renderer
from mien.media.probe import PictureInfo, survey

# Going on from the last frame costs the frames between; starting at a key costs a seek and refilling the decoder.
_SEEK_PAYS = 8


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        index: its number in the recording, 0 first.
        time: seconds; 0 is the recording's first picture.
        image: uint8 ``(H, W, C)``, upright, square pixels; C is 3 (RGB) or 1 (grey).
    """

    index: int
    time: float
    image: NDArray[np.uint8]


class VideoReader:
    """The pictures of one recording, addressed by presentation time or index.

    Packets are read once when the file is opened, to know every picture's time; pictures are decoded when asked for.
    A picture that does not decode (a damaged stretch) is passed over by ``frames`` and refused by ``at_indices`` and
    ``at_times``; pictures after it that the decoder builds on it are given as the decoder mends them, until the next
    entry point. A truncated file is read up to where it ends: ``times`` holds only what is wholly there.
    If the resolution changes within the stream, later pictures are scaled to the first one's size.

    Args:
        path: a recording with pictures.
        size: (width, height) to scale to; None keeps the size as shown.
        grey: one channel instead of RGB.
        threads: decoder threads; 1 suits worker processes, 2 or more streaming. The pictures are the same.
        limits: what to refuse.

    Raises:
        MienError: the file is missing, damaged beyond reading, without pictures or over a limit.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size: tuple[int, int] | None = None,
        grey: bool = False,
        threads: int = 1,
        limits: Limits = LIMITS,
    ) -> None:
        self.path = check_file(path, limits)
        if size is not None and min(size) < 1:
            raise MienError(f"{path}: size {size} is not a (width, height) of at least 1 pixel")
        self._clock = WorkClock(str(self.path), limits)
        self._threads = threads
        self.info, index, held = survey(path, self._clock, keep=threads == 1)
        if index is None:
            raise MienError(f"{path}: has no picture that decodes; give a video, or read its sound alone")
        self._index = index
        self._grey = grey
        self.times: NDArray[np.float64] = index.times
        self.times.setflags(write=False)
        self.size = size or (self.picture.width, self.picture.height)
        self._cursor = _Cursor(self, held)

    @property
    def picture(self) -> PictureInfo:
        """The stream of pictures."""
        assert self.info.picture is not None
        return self.info.picture

    @property
    def duration(self) -> float:
        """Seconds from the first picture's appearance to the last one's end."""
        return self._index.duration

    def __len__(self) -> int:
        return len(self.times)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the decoder. A later request opens the file again."""
        self._cursor.close()

    def frames(self, start: float = 0.0, end: float | None = None) -> Iterator[Frame]:
        """Pictures with ``start <= time < end`` in order; one is held at a time. Several may run side by side."""
        first = int(np.searchsorted(self.times, start, side="left"))
        stop = len(self.times) if end is None else int(np.searchsorted(self.times, end, side="left"))
        if first >= stop:
            return
        cursor = _Cursor(self)
        try:
            found = cursor.seek(first)
            while found is not None and found[0] < stop:
                yield Frame(found[0], float(self.times[found[0]]), cursor.render(found[1]))
                found = cursor.step()
        finally:
            cursor.close()

    def at_indices(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Pictures by number, in any order, repeats allowed: uint8 ``(T, H, W, C)``.

        Raises:
            MienError: a number outside 0..N-1, or a picture that does not decode.
        """
        wanted = np.asarray(indices)
        if wanted.ndim != 1 or (wanted.size and not np.issubdtype(wanted.dtype, np.integer)):
            raise MienError(f"{self.path}: frame numbers must be a flat list of integers, got shape {wanted.shape}")
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise MienError(f"{self.path}: frames {wanted.min()}-{wanted.max()} asked for, it has 0-{len(self) - 1}")
        pictures = np.empty((len(wanted), self.size[1], self.size[0], 1 if self._grey else 3), dtype=np.uint8)
        for index in np.unique(wanted).tolist():
            found = self._cursor.seek(index)
            if found is None or found[0] != index:
                raise MienError(
                    f"{self.path}: frame {index} ({self.times[index]:.3f} s) does not decode; the file is damaged there"
                )
            pictures[wanted == index] = self._cursor.render(found[1])
        return pictures

    def at_times(self, times: Sequence[float] | ArrayLike) -> NDArray[np.uint8]:
        """Pictures shown at these seconds: uint8 ``(T, H, W, C)``; see ``indices_at``."""
        return self.at_indices(self.indices_at(times))

    def indices_at(self, times: Sequence[float] | ArrayLike) -> NDArray[np.int64]:
        """Numbers ``(T,)`` of the pictures shown at these seconds: the last with ``time <= t``.

        Before 0 that is the first picture, after the end the last one.

        Raises:
            MienError: a time that is not a finite number.
        """
        seconds = np.asarray(times, dtype=np.float64)
        if seconds.ndim != 1 or not np.isfinite(seconds).all():
            raise MienError(f"{self.path}: times must be a flat list of finite seconds")
        return np.maximum(np.searchsorted(self.times, seconds, side="right") - 1, 0)


class _Cursor:
    """A place in the recording: steps forward, or goes to any picture by the nearest entry point before it."""

    def __init__(self, reader: VideoReader, held: HeldPackets | None = None) -> None:
        self._index = reader._index
        self._decoder = FrameDecoder(reader.path, reader.picture.stream, reader._clock, reader._threads, held)
        self._clock = reader._clock
        self._renderer = Renderer(reader.picture.orientation, reader.size, reader._grey, reader._threads)
        self._at: tuple[int, Any] | None = None
        self._counter = -1

    def render(self, frame: Any) -> NDArray[np.uint8]:
        with self._clock.working():
            return self._renderer(frame)

    def close(self) -> None:
        self._decoder.close()
        self._at = None

    def step(self) -> tuple[int, Any] | None:
        """The next picture that decodes, with its number. Numbers only rise; a damaged stream may come out of order."""
        while (frame := self._decoder.next()) is not None:
            self._counter += 1
            number = self._counter if self._index.counted else self._index.position(frame.pts)
            if number is not None and number < len(self._index.pts) and (self._at is None or number > self._at[0]):
                self._at = (number, frame)
                return self._at
        self._at = None
        return None

    def seek(self, index: int) -> tuple[int, Any] | None:
        """The picture ``index``; where it does not decode, the next one that does.

        Some streams need more than the last entry point (a gradual refresh, damage around the key): it is tried
        again from twice as far back, at last from the file's beginning, as the sequential decoder would.
        """
        key = -1 if self._index.counted else self._index.key_before(index)
        found = self._at
        if found is None or found[0] > index or self._key_pays(key, found[0]):
            found = self._start(key, index)
        else:
            found = self._forward(index)
        back = 1
        while (found is None or found[0] != index) and key >= 0:
            key = max(key - back, -1)
            back *= 2
            found = self._start(key, index)
        return found

    def _key_pays(self, key: int, at: int) -> bool:
        pays = 0 if self._decoder.held else _SEEK_PAYS
        return key >= 0 and bool(self._index.keys[key].pts > self._index.pts[min(at + pays, len(self._index.pts) - 1)])

    def _start(self, key: int, index: int) -> tuple[int, Any] | None:
        self._counter = -1
        self._at = None
        self._decoder.start(self._index.keys[key] if key >= 0 else None, self._index.seekable)
        return self._forward(index)

    def _forward(self, index: int) -> tuple[int, Any] | None:
        found = self._at
        while found is None or found[0] < index:
            found = self.step()
            if found is None:
                return None
        return found
