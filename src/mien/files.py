"""Files that appear under their name only when complete, and what a file holds as one digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.errors import MienError


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
        raise MienError(
            f"{path}: cannot be written ({error.strerror or error}); choose a folder that you may write to"
        ) from error
    except BaseException:
        _remove(part)
        raise


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
