"""One decoder on one stream of pictures: starts at an entry point and delivers frames in the order of presentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from mien.media.files import open_recording
from mien.media.index import Key
from mien.media.limits import WorkClock


class FrameDecoder:
    """Frames of one stream from a chosen entry point on.

    Packets that the decoder refuses are passed over: what decodes is delivered.
    """

    def __init__(self, path: Path, stream: int, clock: WorkClock, threads: int = 1) -> None:
        self._path = path
        self._number = stream
        self._clock = clock
        self._threads = threads
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())

    def start(self, key: Key | None) -> None:
        """Go to ``key``; None is the file's beginning."""
        with self._clock.working():
            if key is None:
                self._open()
                self._frames = self._decode(self._container.demux(self._stream), None)
                return
            if self._container is None:
                self._open()
            packets = self._seek(key)
            self._frames = self._decode(packets, key)

    def next(self) -> Any | None:
        """The next frame (``av.VideoFrame``), or None after the last one."""
        with self._clock.working():
            self._clock.check()
            return next(self._frames, None)

    def close(self) -> None:
        """Close the file; ``start`` opens it again."""
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open(self) -> None:
        self.close()
        self._container = open_recording(self._path, self._clock.limits)
        self._stream = self._container.streams[self._number]
        prepare_stream(self._stream, self._threads, self._clock)

    def _seek(self, key: Key) -> Iterator[Any]:
        """Packets from ``key`` on. Containers may land anywhere near: what lies before the key is not decoded."""
        try:
            self._container.seek(key.pts if key.dts is None else key.dts, stream=self._stream)
            packets = self._container.demux(self._stream)
            for packet in packets:
                if packet.pts == key.pts:
                    return _with(packet, packets)
                if packet.is_keyframe and packet.pts is not None and packet.pts > key.pts:
                    break
        except av.FFmpegError:
            pass
        self._open()
        return self._container.demux(self._stream)

    def _decode(self, packets: Iterator[Any], key: Key | None) -> Iterator[Any]:
        started = key is None
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None  # reading broke off: what is in the decoder still comes out
            if packet is None:
                yield from self._flush()
                return
            started = started or (key is not None and packet.pts == key.pts)
            if not started or packet.is_corrupt:
                continue
            if not packet.size:
                yield from self._flush()
                return
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue

    def _flush(self) -> Iterator[Any]:
        try:
            yield from self._stream.codec_context.decode(None)
        except av.FFmpegError:
            return


def prepare_stream(stream: Any, threads: int, clock: WorkClock) -> None:
    """Set the number of threads and the largest picture that the decoder may allocate."""
    context = stream.codec_context
    clock.limits.check(clock.path, "pixels", context.width * context.height, "pixels per frame")
    context.thread_count = threads
    context.thread_type = "AUTO"
    context.options = {"max_pixels": str(clock.limits.pixels)}


def _with(packet: Any, packets: Iterator[Any]) -> Iterator[Any]:
    yield packet
    yield from packets
