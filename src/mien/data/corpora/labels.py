"""Class names that corpora share, and manifests of several corpora joined into one under them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from mien.data.corpora import corpora
from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.files import check_file

# Sets of shared names, in the order of the ids that they get. 7: DFEW and FERV39k; 8: with contempt, as MSP-Face;
# 8-calm: as RAVDESS; 11: MAFW.
SETS: dict[str, tuple[str, ...]] = {
    "6": ("angry", "disgust", "fear", "happy", "sad", "surprise"),
    "7": ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"),
    "8": ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear", "contempt"),
    "8-calm": ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise"),
    "11": ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "contempt", "anxiety", "helplessness",
           "disappointment"),
}  # fmt: skip
_ORDER = (*SETS["7"], "contempt", "calm", "anxiety", "helplessness", "disappointment")
_SPELLINGS = {"joy": "happy", "anger": "angry", "afraid": "fear", "disgusted": "disgust", "surprised": "surprise"}


def shared_names() -> dict[str, str]:
    """Shared name of every class name that any corpus uses."""
    names = {label.name: label.common for corpus in corpora().values() for label in corpus.labels}
    return names | _SPELLINGS | {name: name for name in _ORDER}


def common_names(names: Iterable[str]) -> list[str]:
    """Shared names of class names in any corpus's spelling and case; others in lower case."""
    known = shared_names()
    plain = (unicodedata.normalize("NFC", str(name)).strip().lower() for name in names)
    return [known.get(name, name) for name in plain]


def common_classes(*groups: Iterable[str]) -> tuple[str, ...]:
    """Shared names that occur in every group of class names, in a fixed order."""
    sets = [set(common_names(group)) for group in groups]
    both = set.intersection(*sets)
    return (*(name for name in _ORDER if name in both), *sorted(both - set(_ORDER)))


def relabelled(labels: pd.Series, classes: Sequence[str], merge: Mapping[str, str] | None = None) -> pd.Series:
    """Shared names of labels; empty where a label has none among ``classes``.

    Args:
        labels: class names of any corpus.
        classes: shared names to keep.
        merge: names that count as others (``{"calm": "neutral"}``), in any corpus's spelling; nothing is merged
            unasked.

    Raises:
        UsageError: ``merge`` leads to a name that is not among ``classes``.
    """
    merge = _merging(merge)
    for one, other in merge.items():
        if other not in classes:
            raise UsageError(f"merge {one}={other}: {other!r} is not among the classes {', '.join(classes)}")
    names = pd.Series([merge.get(name, name) for name in common_names(labels.astype("str"))], labels.index)
    return names.where(labels.notna() & names.isin(list(classes)))


def join(
    manifests: Sequence[Path | str],
    out: Path | str,
    classes: str | None = None,
    merge: Mapping[str, str] | None = None,
) -> tuple[Manifest, tuple[str, ...], dict[str, int]]:
    """One manifest of several corpora, with shared class names: ``data.protocol: {by: corpus, fold: NAME}`` tests one.

    Ids, subjects and groups get the corpus before them; ``label_own`` keeps the corpus's own names. Folds are dropped,
    since those of two corpora have nothing to do with each other.

    Args:
        manifests: tables with ``label``; the column ``corpus`` names them, else their folder does.
        out: table to write.
        classes: ``7``, ``8``, ``8-calm``, ``11``, ``6``, names between commas, or None: those that all have.
        merge: see ``relabelled``.

    Returns:
        The manifest, its classes in the order of their ids, and how many rows of each corpus have none of them.

    Raises:
        UsageError: a manifest has no labels, two are of one corpus, nothing is shared, or no clip has a class that
            ``merge`` names.
    """
    tables = {}
    for path in manifests:
        manifest = Manifest.read(path)
        manifest.column("label")
        name = _name(manifest, Path(path))
        if name in tables:
            raise UsageError(f"{path}: a second manifest of {name}; give one for each corpus")
        tables[name] = manifest
    if Path(out).suffix.lower() not in {".csv", ".parquet", ".pq"}:
        raise UsageError(f"{out}: a table ends in .csv or .parquet; give it such a name")
    check_file(out)
    merge = _merging(merge)
    there = set().union(*map(_labels, tables.values()))
    if odd := [f"{one}={other}" for one, other in merge.items() if one not in there]:
        raise UsageError(f"merge {odd[0]}: no clip has that class; there are {', '.join(sorted(there))}")
    merged = {name: {merge.get(label, label) for label in _labels(table)} for name, table in tables.items()}
    wanted = _wanted(classes, set().union(*merged.values())) if classes else common_classes(*merged.values())
    if not wanted:
        raise UsageError(f"{', '.join(tables)}: no class is in all of them; choose --classes")
    rows = [_prefixed(name, table, wanted, merge) for name, table in tables.items()]
    left_out = {name: len(tables[name]) - len(kept) for name, kept in zip(tables, rows, strict=True)}
    joined = Manifest(pd.concat(rows, ignore_index=True), Path(out).absolute().parent, name=str(out))
    joined.write(out)
    return joined, wanted, left_out


def _merging(merge: Mapping[str, str] | None) -> dict[str, str]:
    merge = merge or {}
    return dict(zip(common_names(merge), common_names(merge.values()), strict=True))


def _labels(manifest: Manifest) -> set[str]:
    return set(common_names(manifest.column("label").dropna()))


def _wanted(classes: str, there: set[str]) -> tuple[str, ...]:
    if classes in SETS:
        return SETS[classes]
    names = tuple(dict.fromkeys(common_names(name for name in classes.split(",") if name.strip())))
    known = (*_ORDER, *sorted(there - set(_ORDER)))
    if len(names) < 2 or set(names) - set(known):
        raise UsageError(f"classes {classes!r}: give {', '.join(SETS)}, or two or more of {', '.join(known)}")
    return names


def _name(manifest: Manifest, path: Path) -> str:
    if not manifest.has("corpus"):
        return path.absolute().parent.name
    names = sorted(set(manifest.column("corpus").dropna().astype("str")))
    if len(names) > 1:
        raise UsageError(f"{path}: already holds {', '.join(names)}; give manifests of single corpora")
    return names[0]


def _prefixed(name: str, manifest: Manifest, classes: Sequence[str], merge: Mapping[str, str] | None) -> pd.DataFrame:
    frame = manifest.frame.drop(columns="fold", errors="ignore").copy()
    frame["label_own"] = frame["label"]
    frame["label"] = relabelled(frame["label"], classes, merge)
    frame["corpus"] = name
    for column in ("id", "subject", "group"):
        if column in frame:
            frame[column] = (name + ":" + frame[column].astype("str")).where(frame[column].notna())
    for column in ("path", "audio", "labels"):
        if column in frame:
            frame[column] = [None if pd.isna(value) else str(manifest.root / value) for value in frame[column]]
    return frame[frame["label"].notna()]
