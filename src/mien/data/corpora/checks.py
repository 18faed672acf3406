"""Counts of a copy against the published ones, in all, by fold or split, and by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from mien.data.corpora.contract import Counts, Finding, Level


def check_counts(listing: pd.DataFrame, counts: Counts) -> list[Finding]:
    """A finding for the total, the subjects, the parts and the classes, where they differ; none where all agree."""
    level: Level = "note" if counts.remembered else "warning"
    return [Finding(level, text, items) for text, items in _differences(listing, counts)]


def _differences(listing: pd.DataFrame, counts: Counts) -> Iterator[tuple[str, tuple[str, ...]]]:
    if counts.total is not None and len(listing) != counts.total:
        yield f"{len(listing):,} clips in all, published are {counts.total:,} ({len(listing) - counts.total:+,})", ()
    if counts.subjects is not None and "subject" in listing:
        people = listing["subject"].nunique()
        if people != counts.subjects:
            yield f"{people:,} subjects, published are {counts.subjects:,}", ()
    noun = f"clips by {counts.by}"
    yield from _compared(listing, counts.by, counts.parts, noun)
    yield from _compared(listing, "label", counts.classes, "clips by class")
    for column, wanted in counts.columns.items():
        yield from _compared(listing, column, wanted, f"clips by {column}")
    if counts.by in listing:
        for part, classes in counts.part_classes.items():
            rows = listing[listing[counts.by].astype("str") == part]
            yield from _compared(rows, "label", classes, f"clips by class in {counts.by} {part}")


def _compared(
    rows: pd.DataFrame, column: str, wanted: Mapping[str, int], noun: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not wanted:
        return
    have = Counter(map(str, rows[column].dropna())) if column in rows else Counter()
    names = [*wanted, *sorted(set(have) - set(wanted))]
    odd = tuple(
        f"{name} {have[name]:,} ({wanted.get(name, 0):,})" for name in names if have[name] != wanted.get(name, 0)
    )
    if odd:
        yield f"{noun} differ from the published (in brackets)", odd
