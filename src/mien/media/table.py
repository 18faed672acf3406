"""The table of a short MP4 clip, read straight from its bytes: where each picture lies and when it is shown.

A training step reads hundreds of clips of a few seconds; setting up a demuxer for each and running all packets through
it costs more than decoding the sixteen pictures that are wanted. This reads the plainest MP4 only (ISO/IEC 14496-12:
one H.264 track without rotation, cuts or fragments, which is what ``mien prepare`` writes); everything else is answered
with None and goes the general way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_UPRIGHT = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_INSIDE = {b"trak", b"mdia", b"minf", b"stbl", b"edts"}
_ENTRY = 78  # bytes of a visual sample entry before its own boxes


class _OtherFormError(Exception):
    """The file is of a form that this module leaves to the general reader."""


@dataclass(frozen=True)
class SampleTable:
    """Pictures of one track, in order of decoding.

    Attributes:
        size: (width, height).
        header: the decoder's configuration (avcC).
        colour: primaries, transfer, matrix and range as the container tells (ITU-T H.273); None where it does not.
        scale: units of time per second.
        pts: int64 ``(N,)`` times of presentation, without doubles.
        offsets, sizes: int64 ``(N,)`` place in the file, bytes.
        keys: bool ``(N,)``; True where decoding can begin. The first one is.
    """

    size: tuple[int, int]
    header: bytes
    colour: tuple[int, int, int, int] | None
    scale: int
    pts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    keys: NDArray[np.bool_]


def read_table(data: bytes) -> SampleTable | None:
    """Table of the pictures of a whole MP4 file; None where it is another kind of file or not of the plainest form."""
    try:
        return _table(data)
    except (_OtherFormError, struct.error, ValueError, KeyError, IndexError):
        return None


def _need(fits: bool) -> None:
    if not fits:
        raise _OtherFormError


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, beginning and end of the content of the boxes that lie between two places."""
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        _need(head <= size <= end - start)
        yield kind, start + head, start + size
        start += size


def _tree(data: bytes, start: int, end: int) -> dict[bytes, tuple[int, int]]:
    """Places of all boxes under a track by their kind; each may occur once."""
    found: dict[bytes, tuple[int, int]] = {}
    for kind, first, last in _boxes(data, start, end):
        inner = _tree(data, first, last) if kind in _INSIDE else {}
        _need(kind not in found and not found.keys() & inner.keys())
        found |= {kind: (first, last), **inner}
    return found


def _table(data: bytes) -> SampleTable:
    _need(data[4:8] == b"ftyp")
    outer = list(_boxes(data, 0, len(data)))
    _need({kind for kind, _, _ in outer} <= {b"ftyp", b"free", b"moov", b"mdat"})
    moov = [(first, last) for kind, first, last in outer if kind == b"moov"]
    _need(len(moov) == 1)
    inside = list(_boxes(data, *moov[0]))
    _need({kind for kind, _, _ in inside} <= {b"mvhd", b"trak", b"udta"})
    tracks = [_tree(data, first, last) for kind, first, last in inside if kind == b"trak"]
    films = [track for track in tracks if _handler(data, track) == b"vide"]
    _need(len(films) == 1 and all(_handler(data, track) in (b"vide", b"soun") for track in tracks))
    film = films[0]
    size, header, colour = _description(data, *film[b"stsd"])
    _upright(data, film[b"tkhd"][0], size)
    version = data[film[b"mdhd"][0]]
    (scale,) = struct.unpack_from(">I", data, film[b"mdhd"][0] + (20 if version else 12))
    sizes = _sizes(data, film[b"stsz"][0])
    count = len(sizes)
    _need(count > 0 and scale > 0)
    offsets = _offsets(data, film, sizes)
    steps = _runs(data, film[b"stts"][0], count)
    pts = np.cumsum(steps) - steps
    if b"ctts" in film:
        pts = pts + _runs(data, film[b"ctts"][0], count)
    keys = np.ones(count, dtype=bool)
    if b"stss" in film:
        keys = np.zeros(count, dtype=bool)
        keys[_numbers(data, film[b"stss"][0] + 4, ">u4") - 1] = True
    _need(bool(keys[0]) and pts[0] == pts.min() and len(np.unique(pts)) == count)
    _need(bool((sizes > 0).all()) and int((offsets + sizes).max()) <= len(data))
    if b"elst" in film:
        movie = next(first for kind, first, _ in inside if kind == b"mvhd")
        (ticks,) = struct.unpack_from(">I", data, movie + (20 if data[movie] else 12))
        _whole(data, film[b"elst"][0], pts, scale, ticks)
    return SampleTable(size, header, colour, scale, pts, offsets, sizes, keys)


def _handler(data: bytes, track: dict[bytes, tuple[int, int]]) -> bytes:
    first = track[b"hdlr"][0]
    return data[first + 8 : first + 12]


def _description(data: bytes, first: int, last: int) -> tuple[tuple[int, int], bytes, tuple[int, int, int, int] | None]:
    """Size, configuration and colour of the one sample entry."""
    entries = list(_boxes(data, first + 8, last))
    _need(len(entries) == 1 and entries[0][0] == b"avc1")
    start, end = entries[0][1:]
    width, height = struct.unpack_from(">HH", data, start + 24)
    inner = {kind: data[begin:stop] for kind, begin, stop in _boxes(data, start + _ENTRY, end)}
    _need(inner.keys() <= {b"avcC", b"colr", b"pasp", b"btrt"})
    if b"pasp" in inner:
        across, down = struct.unpack(">II", inner[b"pasp"])
        _need(across == down)
    colour = None
    if b"colr" in inner:
        kind, *values, full = struct.unpack(">4sHHHB", inner[b"colr"])
        _need(kind == b"nclx")
        colour = (values[0], values[1], values[2], 2 if full >> 7 else 1)
    return (width, height), inner[b"avcC"], colour


def _upright(data: bytes, first: int, size: tuple[int, int]) -> None:
    """The track is shown as it is stored."""
    at = first + (52 if data[first] else 40)
    _need(struct.unpack_from(">9i", data, at) == _UPRIGHT)
    _need(struct.unpack_from(">II", data, at + 36) == (size[0] << 16, size[1] << 16))


def _whole(data: bytes, first: int, pts: NDArray[np.int64], scale: int, ticks: int) -> None:
    """The edit list shows all pictures, once and at their own speed."""
    form = ">QqI" if data[first] else ">IiI"
    (entries,) = struct.unpack_from(">I", data, first + 4)
    shown, start, rate = struct.unpack_from(form, data, first + 8)
    _need(entries == 1 and rate == 0x10000 and start == int(pts.min()) and ticks > 0)
    _need((shown - 1) * scale > int(pts.max() - pts.min()) * ticks)


def _numbers(data: bytes, first: int, form: str, each: int = 1) -> NDArray[np.int64]:
    """A counted list of numbers, ``each`` to an entry."""
    (count,) = struct.unpack_from(">I", data, first)
    return np.frombuffer(data, form, count * each, first + 4).astype(np.int64)


def _runs(data: bytes, first: int, count: int) -> NDArray[np.int64]:
    """A list of lengths and values, a value for every picture; values are signed where the box says so."""
    pairs = _numbers(data, first + 4, ">i4" if data[first] else ">u4", 2)
    lengths = pairs[::2]
    _need(bool((lengths >= 0).all()) and int(lengths.sum()) == count)  # first: a lie could fill all memory
    return np.repeat(pairs[1::2], lengths)


def _sizes(data: bytes, first: int) -> NDArray[np.int64]:
    common, count = struct.unpack_from(">II", data, first + 4)
    _need(count <= len(data))
    return np.full(count, common, dtype=np.int64) if common else _numbers(data, first + 8, ">u4")


def _offsets(data: bytes, film: dict[bytes, tuple[int, int]], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each picture begins: chunks begin at places of their own, pictures follow one another in a chunk."""
    wide = b"co64" in film
    chunks = _numbers(data, film[b"co64" if wide else b"stco"][0] + 4, ">u8" if wide else ">u4")
    runs = _numbers(data, film[b"stsc"][0] + 4, ">u4", 3).reshape(-1, 3)
    lengths = np.diff(np.append(runs[:, 0], len(chunks) + 1))
    _need(bool((lengths >= 0).all()) and int(lengths.sum()) == len(chunks) and bool((runs[:, 2] == 1).all()))
    held = np.repeat(runs[:, 1], lengths)
    _need(int(held.sum()) == len(sizes))
    before = np.cumsum(sizes) - sizes
    firsts = (np.cumsum(held) - held).astype(np.int64)
    return np.repeat(chunks - before[firsts], held) + before
