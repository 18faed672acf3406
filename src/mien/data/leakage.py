"""What the parts of a protocol have in common, and whether that is refused."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.data.contents import same_content
from mien.data.manifest import Manifest
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.data.protocol import Protocol


# Columns whose values must not be on both sides, and what one of them is called.
_SHARED = (("subject", "subject"), ("group", "group"), ("path", "file"), ("source", "source video"))


@dataclass(frozen=True)
class Overlap:
    """What two parts have in common.

    Attributes:
        parts: ``training``, ``validation`` or ``test``.
        noun: ``row``, ``subject``, ``group``, ``file``, ``source video`` or ``content``.
        values: all of it, sorted.
    """

    parts: tuple[str, str]
    noun: str
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """One sentence with up to three examples."""
        example = ", ".join(self.values[:3]) + (", ..." if len(self.values) > 3 else "")
        noun = "file(s) of equal content" if self.noun == "content" else f"{self.noun}(s)"
        return f"{self.parts[0]} and {self.parts[1]} share {len(self.values):,} {noun}: {example}"


def overlaps(protocol: Protocol, manifest: Manifest, content: bool = False) -> list[Overlap]:
    """Everything that two parts share: rows, subjects, groups, files, source videos, and on wish equal bytes.

    Args:
        protocol: the parts.
        manifest: holds every id of them.
        content: compare files too, which reads those of equal size.
    """
    parts = _parts(protocol)
    copies = same_content(manifest, [id_ for ids in parts.values() for id_ in ids]) if content else []
    found = []
    for one, other in combinations(parts, 2):
        first, second = set(parts[one]), set(parts[other])
        if same := sorted(first & second):
            found.append(Overlap((one, other), "row", tuple(same)))
        first, second = first - second, second - first
        said: set[tuple[str, ...]] = set()
        places = manifest.positions(first), manifest.positions(second)
        for column, noun in _SHARED:
            shared = _shared(manifest, column, places) if first and second else ()
            if shared and shared not in said:
                found.append(Overlap((one, other), noun, shared))
                said.add(shared)
        twins = tuple(" = ".join(group) for group in copies if first & set(group) and second & set(group))
        if twins:
            found.append(Overlap((one, other), "content", twins))
    return found


def leaks(protocol: Protocol, manifest: Manifest, published: bool) -> tuple[str, ...]:
    """Sentences about shared ids, subjects, groups and files; see ``Protocol.check`` for what is refused."""
    notes = list(_same_ids(_parts(protocol), published))
    for overlap in overlaps(protocol, manifest):
        if overlap.noun != "row":
            refuse = not published and betrays(overlap, manifest)
            notes.append(_judge(overlap, refuse, published))
    by = protocol.settings.by
    if by == "random":
        notes.append(f"random folds of single rows (seed {protocol.settings.seed})")
    if protocol.test and protocol.train and not manifest.has("subject"):
        if by == "fold" and not published:
            raise UsageError(
                f"{manifest.name}: cross-validation needs the column 'subject' to show that nobody trains and tests; "
                "add it, or set protocol.published = true (--published) if these are the corpus's published folds"
            )
        notes.append("subjects are unknown: training and test may show the same people")
    return tuple(notes)


def _same_ids(parts: dict[str, tuple[str, ...]], published: bool) -> list[str]:
    notes = []
    for one, other in combinations(parts, 2):
        same = sorted(set(parts[one]) & set(parts[other]))
        if not same:
            continue
        allowed = published and one == "validation"
        text = f"{one} and {other} share {len(same)} row(s), for example {same[0]!r}"
        if not allowed:
            raise UsageError(f"{text}; a row belongs to one part")
        notes.append(f"{text}, as in the published protocol")
    return notes


def _shared(manifest: Manifest, column: str, places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> tuple[str, ...]:
    """Values of a column that occur in the rows of both sides."""
    if not manifest.has(column):
        return ()
    first, second = (manifest.frame[column].iloc[rows].dropna().unique() for rows in places)
    return tuple(sorted({str(value) for value in first} & {str(value) for value in second}))


def betrays(overlap: Overlap, manifest: Manifest) -> bool:
    """True where figures on the test part would not hold for unseen people.

    Two people in one recording are two subjects; a shared file only betrays people where none are named.
    """
    if overlap.parts != ("training", "test"):
        return False
    return overlap.noun not in {"file", "source video"} or not manifest.has("subject")


def _parts(protocol: Protocol) -> dict[str, tuple[str, ...]]:
    parts = {"training": protocol.train, "validation": protocol.validation, "test": protocol.test}
    return {name: ids for name, ids in parts.items() if ids}


def _judge(overlap: Overlap, refuse: bool, published: bool) -> str:
    """A sentence for the report; refuses what makes figures on the test part untrue."""
    if refuse:
        raise UsageError(
            f"{overlap.text}; figures would not hold for unseen people. Divide by subject (protocol.by = subject), or "
            "set protocol.published = true (--published) if a published protocol does this, which results then state"
        )
    return f"{overlap.text}{', as in the published protocol' if published else ''}"
