"""What miniatures of corpora are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Miniature:
    """A copy in small and what must come of it.

    Attributes:
        build: makes the copy in an empty folder.
        ids: of the rows, in order.
        columns: values of some columns, in the order of ids.
        remove: one clip (file or folder, relative to the copy) whose absence must be told.
        lists: an official list without which nothing goes, or None; its name must be in the message.
        choices: how it is taken.
        cropped: pictures are faces.
        patchy: missing clips are told but do not stop.
    """

    build: Callable[[Path], None]
    ids: tuple[str, ...]
    columns: dict[str, tuple[object, ...]] = field(default_factory=dict)
    remove: str = ""
    lists: str | None = None
    choices: dict[str, str] = field(default_factory=dict)
    cropped: bool = False
    patchy: bool = False


def touch(root: Path, *names: str) -> None:
    """Files of a few bytes."""
    for name in names:
        write(root, name, "clip " * 60)


def write(root: Path, name: str, text: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def frames(root: Path, folders: Iterable[str], pattern: str = "{0:05d}.jpg", count: int = 2) -> None:
    """Folders with pictures."""
    for folder in folders:
        touch(root, *(f"{folder}/{pattern.format(number, Path(folder).name)}" for number in range(1, count + 1)))
