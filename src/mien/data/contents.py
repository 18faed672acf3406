"""Clips whose files hold the same bytes, whatever they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from mien.data.manifest import Manifest
from mien.data.sources import PICTURES
from mien.files import sha256

Progress = Callable[[int, int], None]


def same_content(manifest: Manifest, ids: Iterable[str], progress: Progress | None = None) -> list[tuple[str, ...]]:
    """Groups of two or more ids with the same stretch of the same content; folders count by all their pictures.

    Sizes are compared first, so that few files are read. Files that are not there are left aside.

    Args:
        manifest: holds every id.
        ids: which to compare.
        progress: called with (files read, files to read).
    """
    by_size: dict[tuple[object, ...], list[str]] = defaultdict(list)
    files: dict[str, list[Path]] = {}
    for id_ in sorted(set(ids)):
        row = manifest.row(id_)
        files[id_] = _files(row.path)
        if files[id_]:
            sizes = tuple(file.stat().st_size for file in files[id_])
            by_size[(sizes, round(row.start, 3), row.end)].append(id_)
    doubtful = [group for group in by_size.values() if len(group) > 1]
    groups, done, total = [], 0, sum(map(len, doubtful))
    for group in doubtful:
        same: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for id_ in group:
            same[tuple(map(sha256, files[id_]))].append(id_)
            done += 1
            if progress is not None:
                progress(done, total)
        groups += [tuple(found) for found in same.values() if len(found) > 1]
    return sorted(groups)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    return [path] if path.is_file() else []
