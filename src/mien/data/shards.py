"""Clips inside tar shards: each is one stretch of bytes, read alone, from disk or through fsspec from anywhere."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mien.errors import MienError
from mien.media import HeldFile

_TRIES = 3
_PAUSE = 1.0  # seconds before the second try; twice that before the third


@dataclass(frozen=True)
class Extent:
    """Where a clip's members lie.

    Attributes:
        shard: path, or address for fsspec (``s3://bucket/corpus/shard-00000.tar``).
        offset, size: bytes from the first member's header to the end of the last member.
        key: what the members' names begin with.
    """

    shard: str
    offset: int
    size: int
    key: str


# What this process holds for the batch that it is reading, so that a batch's clips are fetched together and once.
_HELD: dict[Extent, bytes | MienError] = {}


@contextmanager
def holding(extents: Iterable[Extent | None]) -> Iterator[None]:
    """Fetch clips together and keep their bytes for the time of a ``with`` block; what fails is told by ``members``."""
    wanted = [extent for extent in dict.fromkeys(extents) if extent is not None and extent not in _HELD]
    _HELD.update(zip(wanted, _fetch(wanted), strict=True))
    try:
        yield
    finally:
        for extent in wanted:
            del _HELD[extent]


def members(extent: Extent) -> dict[str, HeldFile]:
    """Files of a clip by what follows the key in their names (``mp4``, ``audio.wav``, ``labels.csv``), in order.

    Raises:
        MienError: the shard cannot be read, or holds something else there.
    """
    data = _HELD[extent] if extent in _HELD else _fetch([extent])[0]
    if isinstance(data, MienError):
        raise data
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            found = [(member.name, data[member.offset_data : member.offset_data + member.size]) for member in tar]
    except tarfile.TarError as error:
        raise _other(extent, str(error)) from error
    if not found or any(name.partition(".")[0] != extent.key for name, _ in found):
        raise _other(extent, f"found {found[0][0] if found else 'nothing'}")
    return {name.partition(".")[2]: HeldFile(f"{extent.shard}/{name}", content) for name, content in found}


def _other(extent: Extent, what: str) -> MienError:
    return MienError(
        f"{extent.shard}: no clip {extent.key!r} at byte {extent.offset} ({what}); the shard is damaged or of another "
        "packing than the manifest"
    )


def _fetch(extents: Sequence[Extent]) -> list[bytes | MienError]:
    """Bytes of each extent, or why there are none; those of one place are asked for together."""
    remote = _from_remote([extent for extent in extents if "://" in extent.shard])
    return [remote[extent] if extent in remote else _from_disk(extent) for extent in extents]


def _from_disk(extent: Extent) -> bytes | MienError:
    try:
        with open(extent.shard, "rb", buffering=0) as file:
            data = os.pread(file.fileno(), extent.size, extent.offset)
    except OSError as error:
        return MienError(f"{extent.shard}: cannot be read ({error.strerror or error})")
    return _whole(extent, data)


def _whole(extent: Extent, data: bytes) -> bytes | MienError:
    if len(data) == extent.size:
        return data
    return _other(extent, f"{len(data)} of {extent.size} bytes are there")


def _from_remote(extents: list[Extent]) -> dict[Extent, bytes | MienError]:
    """As ``_from_disk`` through fsspec, side by side where the file system can; a failing one is tried again."""
    found: dict[Extent, bytes | MienError] = {}
    missing = extents
    for number in range(_TRIES if extents else 0):
        time.sleep(_PAUSE * number)
        for extent, answer in zip(missing, _ranges(missing), strict=True):
            found[extent] = _whole(extent, answer) if isinstance(answer, bytes) else _unread(extent.shard, answer)
        missing = [extent for extent in missing if isinstance(found[extent], MienError)]
        if not missing:
            break
    return found


def _ranges(extents: Sequence[Extent]) -> list[bytes | Exception]:
    from fsspec.core import url_to_fs

    try:
        system, _ = url_to_fs(extents[0].shard)
        paths = [url_to_fs(extent.shard)[1] for extent in extents]
        starts = [extent.offset for extent in extents]
        ends = [extent.offset + extent.size for extent in extents]
        answers: list[bytes | Exception] = system.cat_ranges(paths, starts, ends, on_error="return")
    except Exception as error:  # whatever a file system raises: a protocol that is not installed, no network, no right
        return [error] * len(extents)
    return answers


def read_address(address: str) -> HeldFile:
    """A whole file at an address that fsspec knows, such as a store's manifest.

    Raises:
        MienError: it cannot be read.
    """
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(address)
        return HeldFile(address, system.cat_file(path))
    except Exception as error:  # see ``_ranges``
        raise _unread(address, error) from error


def _unread(address: str, error: Exception) -> MienError:
    return MienError(f"{address}: cannot be read ({' '.join(str(error).split()) or type(error).__name__})")
