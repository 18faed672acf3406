"""What the parts of a protocol have in common, and whether that is refused."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from mien.data.manifest import Manifest
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.data.protocol import Protocol


def leaks(protocol: Protocol, manifest: Manifest, published: bool) -> tuple[str, ...]:
    """Sentences about shared ids, subjects, groups and files; see ``Protocol.check`` for what is refused."""
    parts = {"training": protocol.train, "validation": protocol.validation, "test": protocol.test}
    notes = list(_same_ids(parts, published))
    for one, other in combinations([name for name, ids in parts.items() if ids], 2):
        distinct = set(parts[one]) - set(parts[other]), set(parts[other]) - set(parts[one])
        if not all(distinct):
            continue
        for column, noun in (("subject", "subject"), ("group", "group"), ("path", "file")):
            shared = _shared(manifest, column, *distinct)
            # Two people in one recording are two subjects; a shared file only betrays people where none are named.
            refuse = (one, other) == ("training", "test") and not published
            refuse = refuse and not (column == "path" and manifest.has("subject"))
            if shared:
                notes.append(_judge(f"{one} and {other}", noun, shared, refuse, published))
    by = protocol.settings.by
    if by == "random":
        notes.append(f"random folds of single rows (seed {protocol.settings.seed})")
    if protocol.test and protocol.train and not manifest.has("subject"):
        if by == "fold" and not published:
            raise UsageError(
                f"{manifest.name}: cross-validation needs the column 'subject' to show that nobody trains and tests; "
                "add it, or set protocol.published = true if these are the corpus's published folds"
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


def _shared(manifest: Manifest, column: str, one: set[str], other: set[str]) -> list[str]:
    if not manifest.has(column):
        return []
    first, second = (set(manifest.column(column, sorted(ids)).dropna().astype("str")) for ids in (one, other))
    return sorted(first & second)


def _judge(which: str, noun: str, shared: list[str], refuse: bool, published: bool) -> str:
    """A sentence for the report; refuses what makes figures on the test part untrue."""
    example = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
    text = f"{which} share {len(shared)} {noun}(s): {example}"
    if refuse:
        raise UsageError(
            f"{text}; figures would not hold for unseen people. Divide by subject (protocol.by = subject), or set "
            "protocol.published = true if the corpus's published protocol does this"
        )
    return f"{text}{', as in the published protocol' if published else ''}"
