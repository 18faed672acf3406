"""Files that appear under their name only when complete."""

from __future__ import annotations

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


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)
