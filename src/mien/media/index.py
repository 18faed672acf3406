"""The index of a recording: which pictures it holds and when each is shown, read from packets without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mien.media.limits import WorkClock


@dataclass(frozen=True)
class Key:
    """A packet at which a decoder can start: its presentation and decoding time in units of the stream."""

    pts: int
    dts: int | None


@dataclass(frozen=True)
class PictureIndex:
    """Presentation times of all pictures of one stream, in the order in which they are shown.

    Attributes:
        pts: int64 ``(N,)`` strictly increasing, in units of ``time_base``.
        time_base: seconds per unit.
        keys: entry points in order of presentation.
        tail: seconds for which the last picture is shown.
        counted: True where the file gives no usable presentation times (AVI with B-frames, raw streams). Pictures are
            then told apart by counting from the file's beginning, and ``pts`` is an even grid or the decoding times.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    keys: tuple[Key, ...]
    tail: float
    counted: bool = False

    @property
    def times(self) -> NDArray[np.float64]:
        """float64 ``(N,)`` seconds; 0 is the first picture."""
        return (self.pts - self.pts[0]) * float(self.time_base)

    @property
    def duration(self) -> float:
        """Seconds from the first picture's appearance to the last one's end."""
        return float(self.times[-1]) + self.tail

    def position(self, pts: int | None) -> int | None:
        """Index of the picture with this time; None where the index has none."""
        if pts is None:
            return None
        at = int(np.searchsorted(self.pts, pts))
        return at if at < len(self.pts) and self.pts[at] == pts else None

    def key_before(self, index: int) -> int:
        """Position in ``keys`` of the last entry point shown no later than this picture; -1: the file's beginning."""
        return int(np.searchsorted([key.pts for key in self.keys], self.pts[index], side="right")) - 1


def index_pictures(container: Any, stream: Any, clock: WorkClock) -> tuple[Any, PictureIndex] | None:
    """Read every packet of ``stream``; decode only until the first picture comes out.

    Packets hidden by an edit list, damaged or cut off (the end of a truncated file), invisible, or shown before the
    first picture that decodes are left out of the index.

    Returns:
        The first picture (``av.VideoFrame``) and the index; None where no picture decodes.
    """
    first: Any = None
    pts: list[int | None] = []
    dts: list[int | None] = []
    keys: list[Key] = []
    tail = (-(2**62), 0)
    for packet in visible_packets(container, stream, clock):
        pts.append(packet.pts)
        dts.append(packet.dts)
        if packet.pts is not None:
            tail = max(tail, (packet.pts, packet.duration or 0))
            if packet.is_keyframe:
                keys.append(Key(packet.pts, packet.dts))
        clock.limits.check(clock.path, "frames", len(pts), "frames")
        if first is None:
            first = _decode_one(stream, packet)
    first = first or _decode_one(stream, None)
    if first is None:
        return None
    times = np.array([value for value in pts if value is not None and value >= (first.pts or 0)], dtype=np.int64)
    times.sort()
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    if None in pts or first.pts is None or not len(times) or bool(np.any(np.diff(times) == 0)):
        index = _counted(dts, stream.time_base, rate)
    else:
        keys.sort(key=lambda key: key.pts)
        usual = float(np.median(np.diff(times))) if len(times) > 1 else float(1 / rate / stream.time_base)
        index = PictureIndex(times, stream.time_base, tuple(keys), (tail[1] or usual) * float(stream.time_base))
    clock.limits.check(clock.path, "duration", index.duration, "seconds")
    return first, index


def first_picture(container: Any, stream: Any, clock: WorkClock) -> Any | None:
    """The first picture that decodes (``av.VideoFrame``); None where none does."""
    for packet in visible_packets(container, stream, clock):
        frame = _decode_one(stream, packet)
        if frame is not None:
            return frame
    return _decode_one(stream, None)


def _decode_one(stream: Any, packet: Any) -> Any | None:
    try:
        return next(iter(stream.codec_context.decode(packet)), None)
    except av.FFmpegError:
        return None


def _counted(dts: list[int | None], time_base: Fraction, rate: Fraction) -> PictureIndex:
    times = np.array(sorted({value for value in dts if value is not None}), dtype=np.int64)
    if len(times) != len(dts):
        return PictureIndex(np.arange(len(dts), dtype=np.int64), 1 / rate, (), float(1 / rate), counted=True)
    return PictureIndex(times, time_base, (), float(1 / rate), counted=True)


def visible_packets(container: Any, stream: Any, clock: WorkClock) -> Any:
    """Packets of ``stream`` that should each give one picture, in order of decoding; ends early where reading fails."""
    packets = container.demux(stream)
    while True:
        with clock.working():
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return
            clock.check()
        if packet is None:
            return
        if packet.size and not packet.is_discard and not packet.is_corrupt and not _invisible(packet, stream):
            yield packet


def _invisible(packet: Any, stream: Any) -> bool:
    """True for VP8's hidden reference frames: bit 4 of the first byte is "show" (RFC 6386, 9.1)."""
    return stream.codec_context.name == "vp8" and not (bytes(packet)[0] >> 4) & 1


def choose_picture(container: Any) -> Any | None:
    """The stream of moving pictures to read: cover art ignored, the default one first, then the largest."""
    hidden = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & hidden and s.codec_context is not None]
    return max(streams, key=_preference, default=None)


def _preference(stream: Any) -> tuple[bool, int, int]:
    default = bool(stream.disposition & av.stream.Disposition.default)
    return default, stream.codec_context.width * stream.codec_context.height, -stream.index


def choose_sound(container: Any) -> Any | None:
    """The stream of sound to read: the default one, else the first."""
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    return min(
        streams,
        key=lambda s: (not s.disposition & av.stream.Disposition.default, s.index),
        default=None,
    )
