"""Leakage: people, recordings or pictures that are in more than one part of a protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data.manifest import Manifest, Row
from mien.data.protocol import PARTS, Protocol
from mien.data.sources import open_frames
from mien.diagnosis.finding import Finding, Severity
from mien.errors import MienError

Signs = NDArray[np.bool_]
SIDE = 16  # cells of the picture that a print compares
FLAT = 4.0  # levels: a picture whose cells vary less has no signs but noise
CLOSE = 6  # of SIDE * SIDE signs may differ in one and the same picture after another encoding
_WHY = "the model has seen the people it is judged on: figures are too high, and do not hold for anybody else"
_TRY = "divide by person (data.protocol.by=subject), and take copies out of the manifest"
_TRY_COPIES = "take the copies out of the manifest, or give them the same subject and divide by it"


def look_for_leakage(protocol: Protocol, manifest: Manifest, pictures: int = 200) -> Iterator[Finding]:
    """Findings on what parts share.

    Args:
        protocol: the run's.
        manifest: its corpus.
        pictures: clips per part whose files and middle pictures are compared; 0 compares names alone.
    """
    parts = {name: getattr(protocol, name) for name in PARTS if getattr(protocol, name)}
    for one, other in combinations(parts, 2):
        severity: Severity = "serious" if one == "train" else "warning"
        named = list(_shared_names(manifest, parts, one, other))
        yield from (Finding("leakage", severity, text, _WHY, _TRY) for text in named)
        if pictures and not named:
            text = _copies(manifest, parts[one], parts[other], pictures, (one, other))
            if text:
                yield Finding("leakage", severity, text, _WHY, _TRY_COPIES)
    if not manifest.has("subject") and len(parts) > 1:
        yield Finding(
            "leakage",
            "warning",
            "the manifest has no column 'subject', so nobody can say whether the same people train and are judged",
            _WHY,
            "add the column; intervals will then be by person, too",
        )


def _shared_names(manifest: Manifest, parts: Mapping[str, Sequence[str]], one: str, other: str) -> Iterator[str]:
    for column, noun in (("subject", "people"), ("path", "recordings")):
        if not manifest.has(column) or (column == "path" and manifest.has("subject")):
            continue
        values = [set(manifest.column(column, parts[name]).dropna().astype("str")) for name in (one, other)]
        shared = sorted(values[0] & values[1])
        if shared:
            yield f"{one} and {other} share {len(shared)} {noun}: {', '.join(shared[:4])}"


def _copies(
    manifest: Manifest, one: Sequence[str], other: Sequence[str], most: int, names: tuple[str, str]
) -> str | None:
    """A sentence on clips of two parts with the same bytes or the same picture; None where there are none."""
    first, second = (_prints(manifest, ids, most) for ids in (one, other))
    pairs = []
    for id_, (digest, signs) in first.items():
        for id2, (digest2, signs2) in second.items():
            alike = signs is not None and signs2 is not None and np.count_nonzero(signs != signs2) <= CLOSE
            if (digest == digest2 or alike) and not _apart(manifest.row(id_), manifest.row(id2)):
                pairs.append((id_, id2))
    if not pairs:
        return None
    return (
        f"{len({two for _, two in pairs})} of {len(second)} {names[1]} clips show the same picture as a {names[0]} "
        f"clip under another name, such as {pairs[0][0]} and {pairs[0][1]}"
    )


def _apart(one: Row, other: Row) -> bool:
    """Whether they are two stretches of one recording, whose pictures may well be alike."""
    return one.path == other.path and (one.end <= other.start or other.end <= one.start)


def _prints(manifest: Manifest, ids: Sequence[str], most: int) -> dict[str, tuple[str, Signs | None]]:
    """Digest of the file's beginning and signs of brightness steps in the middle picture, of up to ``most`` clips."""
    found = {}
    step = max(1, len(ids) // most)
    for id_ in sorted(ids)[::step]:
        row = manifest.row(id_)
        try:
            with open_frames(row) as source:
                inside = np.flatnonzero((source.times >= row.start) & (source.times < row.end))
                picture = source.at_indices([int(inside[len(inside) // 2])])[0]
        except (MienError, IndexError):
            continue
        found[id_] = (_digest(row.path) + str(row.start), _signs(picture))
    return found


def _digest(path: Path) -> str:
    if not path.is_file():
        return str(path)
    with path.open("rb") as file:
        return hashlib.sha256(file.read(1 << 20)).hexdigest()


def _signs(picture: NDArray[np.uint8]) -> Signs | None:
    """Whether it gets brighter from cell to cell, by rows and by columns ``(2 * SIDE * SIDE,)``; None where flat."""
    small = Image.fromarray(picture).convert("L").resize((SIDE + 1, SIDE + 1), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.int16)
    if cells.std() < FLAT:
        return None
    return np.concatenate([(np.diff(cells, axis=1)[:-1] > 0).ravel(), (np.diff(cells, axis=0)[:, :-1] > 0).ravel()])
