"""Packets and frames of one stream, read so far as the file allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import av

from mien.media.limits import WorkClock

# Containers that say how long each packet is, so that one marked as damaged is cut off. In MPEG streams the mark may
# stand on whole packets too; there the decoder tells.
TABLED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi", "mxf", "asf", "ogg", "gif", "ivf", "nut"}


def read_packets(container: Any, stream: Any, clock: WorkClock, ahead: int = 1) -> Iterator[Any]:
    """Whole packets of ``stream`` in order of decoding; they end where the file does or where reading breaks off.

    A packet that is cut off is left out. ``ahead`` packets are taken from the container at once: with more than one it
    is quicker, for who reads to the end.
    """
    tabled = container.format.name in TABLED
    packets = container.demux(stream)
    more = True
    while more:
        block: list[Any] = []
        with clock.working():
            clock.check()
            try:
                block.extend(islice(packets, ahead))
                more = len(block) == ahead
            except av.FFmpegError:
                more = False
        for packet in block:
            if packet.size and not (tabled and packet.is_corrupt):
                yield packet


def decode_packets(packets: Iterable[Any], stream: Any, clock: WorkClock) -> Iterator[Any]:
    """Frames of these packets and of the decoder's rest; see ``decode_packet`` for damaged ones."""
    for packet in packets:
        yield from decode_packet(packet, stream, clock)
    yield from decode_packet(None, stream, clock)


def decode_packet(packet: Any, stream: Any, clock: WorkClock) -> list[Any]:
    """Frames that come out when this packet goes in; None empties the decoder.

    A packet that the decoder refuses gives none. Frames that it marks as damaged are left out: what it puts in place of
    the missing parts depends on what it happened to decode before.
    """
    with clock.working():
        clock.check()
        try:
            frames: list[Any] = stream.codec_context.decode(packet)
        except av.FFmpegError:
            return []
    for frame in frames:
        frame.time_base = stream.time_base  # which PyAV leaves open in what an emptied decoder gives
    return [frame for frame in frames if not frame.is_corrupt]
