"""Files that appear under their name only when complete, JSON without NaN, and what a file holds as one digest."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mien.errors import MienError, UsageError


@contextmanager
def complete(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path to write to; what was written there takes the name ``path`` when the block ends without an error.

    Folders on the way are made. A process that is killed leaves at most ``<name>.part`` behind.

    Raises:
        MienError: the folder or file cannot be written.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        _remove(part)
        raise MienError(f"{path}: cannot be written ({error.strerror or error}); {_remedy(error)}") from error
    except BaseException:
        _remove(part)
        raise


def _remedy(error: OSError) -> str:
    """A full disk needs room, and no other folder; safetensors tells of one in words alone."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    return "make room and start the command again" if full else "choose a folder that you may write to"


def check_writable(folder: str | os.PathLike[str], named: str = "") -> None:
    """Try to write where a folder is or would be made: what would fail only after long work is refused before it.

    Args:
        folder: where files are to go; it is not made.
        named: the option that named it, for the message.

    Raises:
        UsageError: there is a file where a folder would have to be.
        MienError: nothing can be written there.
    """
    place = Path(folder).absolute()
    where = f"{named} {os.fspath(folder)}".strip()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        rule = "is a file" if place == Path(folder).absolute() else f"lies in {place.name}, which is a file"
        raise UsageError(f"{where} {rule}, and a folder is written; choose another name")
    try:
        tempfile.TemporaryFile(dir=place).close()  # nobody else's name: several processes may begin at once
    except OSError as error:
        raise MienError(f"{where}: cannot be written ({error.strerror}); choose another folder") from None


def check_file(path: str | os.PathLike[str], named: str = "") -> None:
    """The same for one file: no folder has its name, and it can be written where it is to lie.

    Raises:
        UsageError: it is a folder, or there is a file where its folder would have to be.
        MienError: nothing can be written beside it.
    """
    if Path(path).is_dir():
        raise UsageError(f"{named} {os.fspath(path)} is a folder, and one file is written; name a file".strip())
    check_writable(Path(path).parent, named)


def write_json(path: str | os.PathLike[str], values: Any) -> None:
    """Write plain data as strict JSON in UTF-8; what is not finite becomes null.

    Raises:
        MienError: the folder or file cannot be written.
    """
    with complete(path) as part:
        text = json.dumps(finite(values), indent=1, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")


def finite(values: Any) -> Any:
    """Plain data, or one number, with None for every float that is NaN or infinite: JSON has neither."""
    if isinstance(values, dict):
        return {name: finite(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    if isinstance(values, float):
        return float(values) if math.isfinite(values) else None
    return values


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes in hexadecimal, read block by block.

    Raises:
        MienError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MienError(f"{os.fspath(path)} cannot be read: {error.strerror or error}") from error


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)
