"""Files appear under their final name only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.errors import MienError


@contextmanager
def complete_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is renamed to ``path``, on any error it is removed.

    Raises:
        MienError: the folder is missing or the file cannot be written.
    """
    final = Path(path)
    if not final.parent.is_dir():
        raise MienError(f"{final}: the folder {final.parent} does not exist; make it first")
    part = final.with_name(f"{final.name}.part")
    try:
        yield part
        os.replace(part, final)
    except OSError as error:
        raise MienError(
            f"{final}: cannot be written ({error.strerror or error}); choose a folder that you may write to"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
