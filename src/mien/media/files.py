"""Opening recordings: regular files only, known containers only, no other file or address reached through them."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from mien.errors import MienError, UsageError
from mien.media.limits import LIMITS, Limits

# Self-contained formats. Playlists and scripts (m3u8, sdp, concat, mpd, image sequences ...) would open what they name.
CONTAINERS = (
    "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,flv,asf,ogg,mxf,nut,ivf,obu,dv,rm,gif,yuv4mpegpipe,"
    "wav,w64,flac,mp3,aac,ac3,eac3,aiff,au,caf,amr"
)


@dataclass(frozen=True)
class HeldFile(os.PathLike[str]):
    """A file whose bytes are in memory (from a shard of a store, say); stands wherever a recording's path may.

    Attributes:
        name: what messages call it.
        data: all of it.
    """

    name: str
    data: bytes

    def __fspath__(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"HeldFile({self.name!r}, {len(self.data)} bytes)"


def check_file(path: str | os.PathLike[str], limits: Limits = LIMITS) -> Path | HeldFile:
    """Return ``path`` where it is a regular, readable, non-empty file within ``limits.bytes``; else raise MienError."""
    name = os.fspath(path)
    if isinstance(path, HeldFile):
        if not path.data:
            raise MienError(f"{name}: is empty (0 bytes)")
        limits.check(name, "bytes", len(path.data), "bytes")
        return path
    status = _status(name, MienError)
    if not os.access(name, os.R_OK):
        raise MienError(f"{name}: cannot be read (permission denied)")
    if status.st_size == 0:
        raise MienError(f"{name}: is empty (0 bytes)")
    limits.check(name, "bytes", status.st_size, "bytes")
    return Path(name)


def check_named(path: str | os.PathLike[str]) -> None:
    """Refuse a path that somebody typed where no recording can be: nothing is there, a folder, a device, an address.

    Raises:
        UsageError: with the lines of ``check_file``, for which a missing file may be one of a corpus.
        MienError: the system does not let it be looked at.
    """
    _status(os.fspath(path), UsageError)


def _status(name: str, misnamed: type[MienError]) -> os.stat_result:
    """What the system says of a regular file; ``misnamed`` is raised where no recording can have this path."""
    try:
        status = os.stat(name)
    except FileNotFoundError:
        rule = "mien reads files only; save it as a file first" if "://" in name else "check the path"
        raise misnamed(f"{name}: no such file; {rule}") from None
    except (OSError, ValueError) as error:
        raise MienError(f"{name}: cannot be read ({_reason(error)})") from None
    if stat.S_ISDIR(status.st_mode):
        raise misnamed(f"{name}: is a folder; give one recording")
    if not stat.S_ISREG(status.st_mode):
        raise misnamed(f"{name}: is not a regular file (a device or pipe); save the recording as a file first")
    return status


def open_recording(path: str | os.PathLike[str], limits: Limits = LIMITS) -> Any:
    """Open a recording for reading; the caller closes the container.

    Returns:
        An ``av.container.InputContainer`` with at least one stream of pictures or sound.

    Raises:
        MienError: missing, empty, not a regular file, too large, or in no known format.
    """
    file = check_file(path, limits)
    name = str(file)
    try:
        # "file:" keeps a name such as "concat:a|b" from being read as a protocol.
        container = av.open(
            io.BytesIO(file.data) if isinstance(file, HeldFile) else f"file:{os.path.abspath(name)}",
            container_options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
            options={"max_pixels": str(limits.pixels)},
            metadata_errors="replace",
            timeout=limits.seconds,
        )
    except av.error.ExitError:
        raise MienError(f"{name}: opening takes over {limits.seconds:g} s of work; see Limits(seconds=...)") from None
    except (av.FFmpegError, ValueError):
        raise MienError(f"{name}: is no readable video or sound: another kind of file, cut off or damaged") from None
    if not container.streams.video and not container.streams.audio:
        container.close()
        raise MienError(f"{name}: has neither picture nor sound: another kind of file, or damaged")
    return container


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).splitlines()[0] if text else type(error).__name__
