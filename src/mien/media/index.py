"""The index of a recording: which pictures it holds and when each is shown, read from packets without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mien.media.limits import WorkClock
from mien.media.packets import TABLED, decode_packet, decode_packets, read_packets

# Containers that lead to the wanted packet and give it the time it always has. In the others (MPEG streams, ASF, Ogg)
# packets are read over from the file's beginning, which costs no decoding.
_SEEKABLE = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi"}
_LONGEST_GROUP = 1000  # packets kept at once while the index is made
_HELD_BYTES = 16 * 2**20  # of packets that are kept for decoding; those of longer streams are read again


@dataclass(frozen=True)
class Key:
    """A packet at which a decoder can start: presentation and decoding time in units of the stream, size in bytes."""

    pts: int
    dts: int | None
    size: int

    def matches(self, packet: Any) -> bool:
        """True for the packet itself; after an inexact seek, pieces of others may carry its time."""
        return bool(packet.is_keyframe and packet.pts == self.pts and packet.size == self.size)


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
        seekable: True where the container finds an entry point exactly.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    keys: tuple[Key, ...]
    tail: float
    counted: bool = False
    seekable: bool = False

    @cached_property
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
        return int(np.searchsorted(self._key_pts, self.pts[index], side="right")) - 1

    @cached_property
    def _key_pts(self) -> NDArray[np.int64]:
        return np.array([key.pts for key in self.keys], dtype=np.int64)


class PictureSurvey:
    """Reads every packet of a stream of pictures once; decodes only until the first picture comes out.

    Packets hidden by an edit list, damaged or cut off (the end of a truncated file), invisible, or shown before the
    first picture that decodes are left out of the index. A container without a table of packets does not tell that its
    last packet is cut off: there the last group of pictures is decoded, and what fails is left out.

    Attributes:
        first: the first picture that decodes (``av.VideoFrame``); None where none does.
        packets: all of them in order of decoding; None where they are too many to keep.
    """

    def __init__(self, container: Any, stream: Any, clock: WorkClock) -> None:
        self._format: str = container.format.name
        self._tabled = self._format in TABLED
        self._hides = stream.codec_context.name == "vp8"
        self._stream = stream
        self._clock = clock
        self._pts: list[int | None] = []
        self._dts: list[int | None] = []
        self._keys: list[Key] = []
        self._last = (-(2**62), 0)
        self._group: list[Any] = []
        self.first: Any | None = None
        self.packets: list[Any] | None = []
        held = 0
        for packet in read_packets(container, stream, clock, ahead=16):
            if self.first is None:
                self.first = next(iter(decode_packet(packet, stream, clock)), None)
            self._note(packet)
            held += packet.size
            if self.packets is not None:
                self.packets.append(packet)
                self.packets = self.packets if held <= _HELD_BYTES else None
        self.first = self.first or next(iter(decode_packet(None, stream, clock)), None)

    def _note(self, packet: Any) -> None:
        if not self._tabled:
            if packet.is_keyframe:
                self._group.clear()
            if len(self._group) < _LONGEST_GROUP:
                self._group.append(packet)
        if packet.is_discard or (self._hides and _invisible(packet)):
            return
        pts = packet.pts
        self._pts.append(pts)
        self._dts.append(packet.dts)
        if len(self._pts) > self._clock.limits.frames:
            self._clock.limits.check(self._clock.path, "frames", len(self._pts), "frames")
        if pts is not None:
            self._last = max(self._last, (pts, packet.duration or 0))
            if packet.is_keyframe:
                self._keys.append(Key(pts, packet.dts, packet.size))

    def index(self) -> PictureIndex:
        """The pictures' times; only where ``first`` is not None."""
        assert self.first is not None
        unit = self._stream.time_base
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        # AVI stores no times of presentation: where pictures are reordered, they are guesses.
        guessed = self.first.pts is None or None in self._pts or (self._format == "avi" and self._pts != self._dts)
        pts = np.array(sorted(value for value in self._pts if value is not None), dtype=np.int64)
        if guessed or bool(np.any(np.diff(pts) == 0)):
            index = _counted(self._dts, unit, rate)
        else:
            pts = self._whole(pts[pts >= self.first.pts])
            usual = float(np.median(np.diff(pts))) if len(pts) > 1 else float(1 / rate / unit)
            tail = (self._last[1] or usual) * float(unit)
            keys = tuple(sorted(self._keys, key=lambda key: key.pts))
            index = PictureIndex(pts, unit, keys, tail, seekable=self._format in _SEEKABLE)
        self._clock.limits.check(self._clock.path, "duration", index.duration, "seconds")
        return index

    def _whole(self, pts: NDArray[np.int64]) -> NDArray[np.int64]:
        """``pts`` without what does not decode in the last group of pictures."""
        if not 0 < len(self._group) < _LONGEST_GROUP or not self._group[0].is_keyframe:
            return pts
        self._stream.codec_context.flush_buffers()
        decoded = [frame.pts for frame in decode_packets(self._group, self._stream, self._clock)]
        return pts[(pts < self._group[0].pts) | np.isin(pts, decoded)]


def first_picture(container: Any, stream: Any, clock: WorkClock) -> Any | None:
    """The first picture that decodes (``av.VideoFrame``); None where none does."""
    return next(decode_packets(read_packets(container, stream, clock), stream, clock), None)


def _counted(dts: list[int | None], time_base: Fraction, rate: Fraction) -> PictureIndex:
    times = np.array(sorted({value for value in dts if value is not None}), dtype=np.int64)
    if len(times) != len(dts):
        return PictureIndex(np.arange(len(dts), dtype=np.int64), 1 / rate, (), float(1 / rate), counted=True)
    return PictureIndex(times, time_base, (), float(1 / rate), counted=True)


def _invisible(packet: Any) -> bool:
    """True for VP8's hidden reference frames: bit 4 of the first byte is "show" (RFC 6386, 9.1)."""
    return not (bytes(packet)[0] >> 4) & 1


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
