"""The decoded waveform of a recording at its own rate: channels averaged, placed by timestamps, gaps filled."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.media.decoder import prepare_stream
from mien.media.files import open_recording
from mien.media.index import choose_picture, choose_sound, first_picture
from mien.media.limits import WorkClock
from mien.media.packets import decode_packets, read_packets

# Timestamps of many containers are rounded to a millisecond: only what is off by more is a gap or an overlap.
_TOLERANCE = 0.02
# A decoder that starts in the middle needs a few packets until its output is that of the whole (MP3's bit reservoir,
# overlapping transforms, Opus' 80 ms), and the resampler needs its filter's length.
_WARM_UP = 0.5
# Containers that find an exact sample again; the others are read from their beginning.
_SEEKABLE = {"mov,mp4,m4a,3gp,3g2,mj2", "wav", "w64"}

Samples = NDArray[np.float32]


class SoundSource:
    """The sound of an open recording.

    Attributes:
        rate: samples per second as stored.
        start: seconds of the first sample on the clock of the picture (0 where there is no picture).
    """

    def __init__(self, container: Any, stream: Any, first: Any, zero: Fraction | None, clock: WorkClock) -> None:
        self._container = container
        self._stream = stream
        self._clock = clock
        self._frames: Iterator[Any] = chain([first], _decode(container, stream, clock))
        self._origin = _time(first) or Fraction(0)
        self.rate: int = first.sample_rate
        self.start = 0.0 if zero is None else float(self._origin - zero)

    @classmethod
    def open(cls, path: str | os.PathLike[str], clock: WorkClock) -> SoundSource | None:
        """Open a recording's sound; None where there is none that decodes."""
        with clock.working():
            zero = _picture_zero(path, clock)
            container = open_recording(path, clock.limits)
            try:
                stream = choose_sound(container)
                first = None if stream is None else next(_decode(container, stream, clock), None)
                if first is not None:
                    return cls(container, stream, first, zero, clock)
            except BaseException:
                container.close()
                raise
            container.close()
            return None

    def __enter__(self) -> SoundSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def blocks(self, seconds: float, step: int) -> tuple[int, Iterator[Samples]]:
        """The waveform from a place at or before ``seconds`` (counted from the first sample) on; to be called once.

        Returns:
            The number of the first sample given, a multiple of ``step``, and the samples without gaps.
        """
        entry = seconds - _WARM_UP
        exact = (1 / self._stream.time_base) % self.rate == 0
        if entry > _WARM_UP and exact and self._container.format.name in _SEEKABLE:
            target = self._origin + Fraction(int(entry * self.rate), self.rate)
            self._container.seek(int(target / self._stream.time_base), stream=self._stream)
            self._frames = _decode(self._container, self._stream, self._clock)
        first = next(self._frames, None)
        if first is None:
            return 0, iter(())
        at = self._number(first, 0)
        start = -(-at // step) * step
        return start, _from(self._joined(chain([first], self._frames), at), start - at)

    def _number(self, frame: Any, otherwise: int) -> int:
        time = _time(frame)
        return otherwise if time is None else round((time - self._origin) * self.rate)

    def _joined(self, frames: Iterable[Any], position: int) -> Iterator[Samples]:
        """Blocks of the waveform, the first at sample ``position``: gaps are filled with zeros, overlaps dropped."""
        for frame in frames:
            if frame.sample_rate != self.rate:
                raise MienError(
                    f"{self._clock.path}: its sound changes from {self.rate} to {frame.sample_rate} Hz; re-encode it"
                )
            samples = mono(frame)
            late = self._number(frame, position) - position
            if abs(late) <= _TOLERANCE * self.rate:
                late = 0
            self._clock.limits.check(self._clock.path, "duration", (position + late) / self.rate, "seconds of sound")
            for filled in range(0, late, self.rate):
                yield np.zeros(min(self.rate, late - filled), dtype=np.float32)
            samples = samples[max(-late, 0) :]
            position += max(late, 0) + len(samples)
            if len(samples):
                yield samples


def resample(blocks: Iterator[Samples], rate: int, wanted: int) -> Iterator[Samples]:
    """Change the sample rate of a stream of blocks; sample k of the result lies at ``k / wanted`` of the first one.

    Polyphase windowed-sinc interpolation by FFmpeg's resampler, whose numbers do not depend on the blocks' lengths.
    """
    if rate == wanted:
        yield from blocks
        return
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=wanted)
    position = 0
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block[None]), format="fltp", layout="mono")
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = position
        position += len(block)
        for out in resampler.resample(frame):
            yield out.to_ndarray()[0]
    if position:
        for out in resampler.resample(None):
            yield out.to_ndarray()[0]


def mono(frame: Any) -> Samples:
    """Mean of a decoded frame's channels, float32 ``(S,)``; integers are scaled to -1..1, what is no number is 0."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype == np.uint8:
        values = (values.astype(np.float32) - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        values = values.astype(np.float64) / -float(np.iinfo(values.dtype).min)
    else:
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return values.mean(axis=0, dtype=np.float64).astype(np.float32)


def _from(blocks: Iterator[Samples], skip: int) -> Iterator[Samples]:
    """The blocks without their first ``skip`` samples."""
    for block in blocks:
        if skip < len(block):
            yield block[skip:]
        skip = max(skip - len(block), 0)


def _decode(container: Any, stream: Any, clock: WorkClock) -> Iterator[Any]:
    return decode_packets(read_packets(container, stream, clock), stream, clock)


def _picture_zero(path: str | os.PathLike[str], clock: WorkClock) -> Fraction | None:
    """When the first picture is shown on the file's own clock; None where no picture decodes."""
    with open_recording(path, clock.limits) as container:
        stream = choose_picture(container)
        if stream is None:
            return None
        prepare_stream(stream, 1, clock)
        return _time(first_picture(container, stream, clock))


def _time(frame: Any) -> Fraction | None:
    return None if frame is None or frame.pts is None else frame.pts * frame.time_base
