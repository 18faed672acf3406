"""What is to be prepared: files, folders and manifests as one list of sources in a fixed order."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mien.data.manifest import COLUMNS, Manifest, Row
from mien.errors import UsageError

VIDEOS = {
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp", ".ts", ".mts", ".ogv",
}  # fmt: skip
TABLES = {".csv", ".parquet", ".pq"}
HIDDEN = (".", "__MACOSX")  # what names of hidden files and folders begin with
_CARRIED = ("subject", "split", "fold", "group")


@dataclass(frozen=True)
class Source:
    """One recording, or a stretch of one, that faces are cut out of.

    Attributes:
        row: where it is.
        name: its path as the output's manifest states it: relative to the folder or table that it came from.
        values: columns that its clips inherit.
        labelled: True where the row stands for one person, so that only the main face is wanted.
        aligned: folder of the faces that OpenFace has cut out of it; None: mien looks for them.
    """

    row: Row
    name: str
    values: dict[str, Any] = field(default_factory=dict)
    labelled: bool = False
    aligned: Path | None = None

    @property
    def id(self) -> str:
        """Stable id of the row."""
        return self.row.id


def gather(inputs: Sequence[Path | str], out: Path) -> list[Source]:
    """Sources of files, folders (searched throughout for videos) and manifests, in the order given.

    Files of a folder come in the order of their names. What lies in ``out`` is left aside.

    Raises:
        UsageError: an input does not exist, a folder holds no video, or two sources have the same id.
    """
    sources: list[Source] = []
    for given in map(Path, inputs):
        if given.is_dir():
            found = _from_folder(given, out)
        elif given.suffix.lower() in TABLES:
            found = _from_manifest(Manifest.read(given))
        elif given.is_file():
            found = [_from_file(given, given.name)]
        else:
            raise UsageError(f"{given}: no such file or folder; give videos, folders or a manifest")
        sources += found
    return _told_apart(sources)


def files_below(folder: Path, besides: Path | None = None) -> Iterator[str]:
    """Paths of all files below a folder, relative to it, with ``/``, in order; hidden ones are left out.

    Links to folders are followed, but never into a folder that they lie in, which would go round in a circle.

    Args:
        folder: where to look.
        besides: a folder to leave aside.

    Raises:
        UsageError: a folder may not be read; what lies in it would be missing without a word.
    """
    yield from _below(folder, "", folder.resolve(), frozenset({besides.resolve()} if besides else ()))


def _below(folder: Path, prefix: str, real: Path, above: frozenset[Path]) -> Iterator[str]:
    if real in above:
        return
    try:
        with os.scandir(folder) as found:
            entries = sorted((one for one in found if not one.name.startswith(HIDDEN)), key=lambda one: one.name)
    except OSError as error:
        why = f"{folder}: cannot be searched ({error.strerror}); allow reading it, or move it away"
        raise UsageError(why) from None
    yield from (prefix + one.name for one in entries if not one.is_dir())
    for one in (one for one in entries if one.is_dir()):
        child = Path(one.path)
        own = child.resolve() if one.is_symlink() else real / one.name
        yield from _below(child, f"{prefix}{one.name}/", own, above | {real})


def _from_folder(folder: Path, out: Path) -> list[Source]:
    found = sorted(name for name in files_below(folder, out) if Path(name).suffix.lower() in VIDEOS)
    if not found:
        raise UsageError(f"{folder}: no video in this folder (looked for {', '.join(sorted(VIDEOS))})")
    return [_from_file(folder / name, name) for name in found]


def _from_file(path: Path, name: str) -> Source:
    return Source(Row(_digest(name), path.absolute()), name)


def _from_manifest(manifest: Manifest) -> list[Source]:
    targets = [column for column in manifest.frame.columns if column not in COLUMNS]
    carried = [column for column in _CARRIED if column in manifest.frame]
    labelled = bool(targets) or manifest.has("labels") or manifest.has("subject")
    sources = []
    for values in manifest.frame.to_dict("records"):
        row = manifest.row(str(values["id"]))
        if row.extent is not None:
            raise UsageError(f"{manifest.name}: lies in shards; give the recordings that they were made from")
        kept = {column: None if pd.isna(values[column]) else values[column] for column in [*carried, *targets]}
        sources.append(Source(row, str(values["path"]), kept, labelled))
    return sources


def _told_apart(sources: list[Source]) -> list[Source]:
    """Sources of the same id (equal names in two folders) get ids of their full paths."""
    counts = Counter(source.id for source in sources)
    result = []
    for source in sources:
        if counts[source.id] > 1 and not source.values:
            full = source.row.path.resolve().as_posix()
            source = replace(source, row=replace(source.row, id=_digest(full)), name=full)
        result.append(source)
    twice = [id_ for id_, count in Counter(source.id for source in result).items() if count > 1]
    if twice:
        name = next(source.name for source in result if source.id == twice[0])
        raise UsageError(f"{name} is given twice; give every recording once")
    return result


def clip_path(source: Source, suffix: str) -> Path:
    """Path of a clip inside the output folder, recognisable and unique: ``clips/<folders>/<stem>-<id>-<suffix>``."""
    parts = [_plain(part) for part in Path(source.name).with_suffix("").parts if part not in {"/", "..", ".", "clips"}]
    tag = source.id if re.fullmatch(r"[0-9a-f]{16}", source.id) else _digest(source.id)
    return Path("clips", *parts[-4:-1], f"{parts[-1][:80] if parts else 'clip'}-{tag[:12]}-{suffix}")


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "_"


def stretch(row: Row) -> tuple[float, float | None]:
    """Start and end of a row for readers that take None for the end of the file."""
    return row.start, None if math.isinf(row.end) else row.end


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
