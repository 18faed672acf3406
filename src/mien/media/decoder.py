"""One decoder on one stream of pictures: starts at an entry point and delivers frames in the order of presentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av

from mien.media.files import HeldFile, open_recording
from mien.media.index import Key
from mien.media.limits import WorkClock
from mien.media.packets import decode_packets, read_packets


class HeldPackets:
    """An open recording and all packets of its pictures, so that any entry point is reached without seeking.

    A clip of a few seconds is a few hundred packets, which were read for the index anyway; opening the file once more
    and seeking cost as much as decoding its pictures.
    """

    def __init__(self, container: Any, stream: Any, packets: Sequence[Any]) -> None:
        self.container = container
        self.stream = stream
        self._packets = packets
        self._keys = {packet.pts: number for number, packet in enumerate(packets) if packet.is_keyframe}

    def after(self, key: Key | None) -> Iterator[Any]:
        """Packets from ``key`` on, or all of them."""
        return iter(self._packets) if key is None else islice(self._packets, self._keys[key.pts], None)


class FrameDecoder:
    """Frames of one stream from a chosen entry point on.

    Packets that the decoder refuses are passed over: what decodes is delivered.

    Args:
        path, stream: recording and number of its stream.
        clock: counts the work.
        threads: of the decoder.
        held: the recording, open and read already, for this decoder alone; used with one thread.
    """

    def __init__(
        self, path: Path | HeldFile, stream: int, clock: WorkClock, threads: int = 1, held: HeldPackets | None = None
    ) -> None:
        self._path = path
        self._number = stream
        self._clock = clock
        self._threads = threads
        self._held = held
        self._container: Any = None if held is None else held.container
        self._frames: Iterator[Any] = iter(())

    @property
    def held(self) -> bool:
        """True while every entry point is equally near."""
        return self._held is not None

    def start(self, key: Key | None, seekable: bool) -> None:
        """Go to ``key``; None is the file's beginning."""
        if self._held is not None:
            self._held.stream.codec_context.flush_buffers()
            self._frames = decode_packets(self._held.after(key), self._held.stream, self._clock)
            return
        with self._clock.working():
            if key is None or not seekable or self._container is None:
                self._open()
            packets = self._packets() if key is None else self._from(key, seekable)
            self._frames = decode_packets(packets, self._stream, self._clock)

    def next(self) -> Any | None:
        """The next frame (``av.VideoFrame``), or None after the last one."""
        return next(self._frames, None)

    def close(self) -> None:
        """Close the file; ``start`` opens it again."""
        self._frames = iter(())
        self._held = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open(self) -> None:
        self.close()
        self._container = open_recording(self._path, self._clock.limits)
        self._stream = self._container.streams[self._number]
        prepare_stream(self._stream, self._threads, self._clock)

    def _packets(self) -> Iterator[Any]:
        return read_packets(self._container, self._stream, self._clock)

    def _from(self, key: Key, seekable: bool) -> Iterator[Any]:
        """Packets from ``key`` on; what lies before it is not decoded."""
        if seekable:
            try:
                self._container.seek(key.pts if key.dts is None else key.dts, stream=self._stream)
            except av.FFmpegError:
                self._open()
        packets = self._packets()
        for packet in packets:
            if key.matches(packet):
                return chain([packet], packets)
            if seekable and packet.is_keyframe and packet.pts is not None and packet.pts > key.pts:
                break
        if not seekable:
            return iter(())
        self._open()  # landed behind the key: read over everything before it instead
        return self._from(key, seekable=False)


def prepare_stream(stream: Any, threads: int, clock: WorkClock) -> None:
    """Set the number of threads and the largest picture that the decoder may allocate."""
    context = stream.codec_context
    clock.limits.check(clock.path, "pixels", context.width * context.height, "pixels per frame")
    context.thread_count = threads
    context.thread_type = "AUTO"
    context.options = {"max_pixels": str(clock.limits.pixels)}
