"""A corpus as text and as plain values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from mien.data.corpora.contract import Corpus, Counts

_PLAIN = (
    "name",
    "title",
    "paper",
    "licence",
    "access",
    "link",
    "layout",
    "targets",
    "subjects",
    "splits",
    "used_by",
    "quirks",
)


def as_dict(corpus: Corpus) -> dict[str, Any]:
    """Everything that a corpus tells, as values that JSON can hold."""
    values = {name: getattr(corpus, name) for name in _PLAIN}
    values["labels"] = [asdict(label) for label in corpus.labels]
    values["choices"] = {choice.name: {"values": choice.values, "meaning": choice.meaning} for choice in corpus.choices}
    values["counts"] = {variant: asdict(counts) for variant, counts in corpus.counts.items()}
    values["known_damage"] = dict(corpus.known)
    return values


def describe(corpus: Corpus) -> str:
    """The page that ``mien corpora show`` prints."""
    lines = [corpus.title, ""]
    for term, text in (("paper", corpus.paper), ("licence", corpus.licence), ("access", corpus.access),
                       ("link", corpus.link), ("subjects", corpus.subjects), ("division", corpus.splits)):  # fmt: skip
        lines += _wrapped(f"{term:9} ", text) if text else []
    lines += ["", "layout", *(f"  {line}" for line in corpus.layout.splitlines())]
    if corpus.labels:
        lines += ["", "classes (id, name, official code)"]
        lines += [f"  {label.id:2} {label.name:15} {label.code}" for label in corpus.labels]
    if corpus.targets:
        lines += ["", *_wrapped("values    ", ", ".join(corpus.targets))]
    for variant, counts in corpus.counts.items():
        lines += ["", f"published counts, {variant}{' (not checked on a copy)' if counts.remembered else ''}"]
        lines += _counted(counts)
    for title, texts in (("taken by published systems", corpus.used_by), ("watch out", corpus.quirks),
                         ("known damage", [f"{clip}: {reason}" for clip, reason in corpus.known.items()])):  # fmt: skip
        if texts:
            lines += ["", title]
            lines += [line for text in texts for line in _wrapped("  - ", text)]
    if corpus.choices:
        lines += ["", "to choose with --choose name=value (the first is usual)"]
        lines += [
            f"  {one.name}={'|'.join(one.values) or one.default or '...'}: {one.meaning}" for one in corpus.choices
        ]
    lines += ["", f"  mien prepare --corpus {corpus.name} FOLDER --out data/{corpus.name}"]
    return "\n".join(lines)


def _counted(counts: Counts) -> Iterator[str]:
    if counts.total is not None:
        people = f", {counts.subjects:,} subjects" if counts.subjects else ""
        yield f"  {counts.total:,} clips{people}"
    elif counts.subjects:
        yield f"  {counts.subjects:,} subjects"
    if counts.parts and counts.by == "fold":
        sizes = (f"{fold}: {counts.training(fold):,}/{size:,}" for fold, size in counts.parts.items())
        yield from _wrapped("  folds (training/test) ", "  ".join(sizes))
    elif counts.parts:
        yield from _wrapped("  ", _listing(counts.parts))
    for column in counts.columns.values():
        yield from _wrapped("  ", _listing(column))
    if counts.classes:
        yield from _wrapped("  ", _listing(counts.classes))


def _listing(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False)
