"""The protocol: which rows train, validate and test, with a digest of the exact ids and a check for leaks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from mien.checked import Checked
from mien.data.leakage import leaks
from mien.data.manifest import Manifest
from mien.data.quality import good_enough
from mien.data.seeding import generator
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError
from mien.files import write_json

PARTS = ("train", "validation", "test")
_SPLITS = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(("test", "testing"), "test")
_SPLITS |= dict.fromkeys(("validation", "val", "valid", "dev", "devel"), "validation")


class Protocol(Checked):
    """Which rows train, validate and test.

    Attributes:
        train, validation, test: ids, sorted; no id is in two parts unless a published protocol says so.
        settings: how they came about.
        notes: what a reader of results must know: shared subjects, random folds, unknown subjects.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    settings: ProtocolSettings = ProtocolSettings()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part}: {len(getattr(self, part))}" for part in PARTS)
        return f"Protocol({sizes}, by={self.settings.by!r}, digest={self.digest[:12]!r})"

    __str__ = __repr__

    @property
    def digest(self) -> str:
        """SHA-256 over the sorted ids of each part: the same whatever the order of rows."""
        parts = {part: sorted(getattr(self, part)) for part in PARTS}
        return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()

    @classmethod
    def from_manifest(cls, manifest: Manifest, settings: ProtocolSettings | None = None) -> Protocol:
        """Divide the rows of a manifest and check the result.

        Raises:
            UsageError: a column that ``settings.by`` needs is missing, a split or fold is unknown, or the parts
                leak (see ``check``).
        """
        settings = settings or ProtocolSettings()
        parts = _DIVIDERS[settings.by](manifest, settings)
        if settings.validation > 0 and not parts["validation"]:
            parts["train"], parts["validation"] = _hold_out(manifest, parts["train"], settings)
        all_train = len(parts["train"])
        if settings.lowest or settings.highest:
            parts["train"] = good_enough(manifest, parts["train"], settings.lowest, settings.highest)
        sorted_parts = {part: tuple(sorted(ids)) for part, ids in parts.items()}
        protocol = cls(**sorted_parts, settings=settings)
        notes = protocol.check(manifest, published=settings.published)
        if len(parts["train"]) < all_train:
            bounds = [f"{name} >= {value:g}" for name, value in settings.lowest.items()]
            bounds += [f"{name} <= {value:g}" for name, value in settings.highest.items()]
            notes += (f"{len(parts['train'])} of {all_train} training rows have {' and '.join(bounds)}",)
        return protocol.model_copy(update={"notes": notes})

    def check(self, manifest: Manifest, published: bool = False) -> tuple[str, ...]:
        """What the parts have in common, as sentences for the report.

        Args:
            manifest: holds every id of the protocol.
            published: state overlaps of a published protocol instead of refusing them.

        Raises:
            UsageError: training and test share ids, subjects, groups or files, and ``published`` is False; or folds
                were asked for where subjects are unknown.
        """
        return leaks(self, manifest, published)

    def write(self, path: Path | str) -> None:
        """Write as JSON, digest included; the file appears only when complete."""
        write_json(path, {**self.model_dump(mode="json"), "digest": self.digest})

    @classmethod
    def read(cls, path: Path | str) -> Protocol:
        """Read what ``write`` wrote; refuses a file whose ids do not fit its digest."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            digest = values.pop("digest")
            protocol = cls.model_validate(values)
        except (OSError, ValueError, KeyError, AttributeError, ValidationError) as error:
            raise UsageError(
                f"{path}: not a protocol file ({_why(error)}); give one that mien corpora divide or a run wrote"
            ) from error
        if protocol.digest != digest:
            raise UsageError(f"{path}: the ids do not fit the digest {str(digest)[:12]}; the file was changed by hand")
        return protocol


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "no digest in it" if isinstance(error, KeyError | AttributeError) else str(error).splitlines()[0]


def _by_split(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    values = _required(
        manifest, "split", "or ask for folds by subject (recipe: data.protocol.by=subject data.protocol.fold=0)"
    )
    known = values.astype("str").str.strip().str.lower().map(_SPLITS)
    odd = known.isna() & values.notna()
    if odd.any():
        id_, value = values.index[odd][0], values[odd].iloc[0]
        raise UsageError(f"{manifest.place(id_)} has split {value!r}; use train, validation, test or nothing")
    return {part: values.index[known == part].to_numpy(dtype=object).tolist() for part in PARTS}


def folds(manifest: Manifest, settings: ProtocolSettings) -> list[str]:
    """Every value that ``settings.fold`` can take: the rounds of a cross-validation.

    Raises:
        UsageError: a column that ``settings.by`` needs is missing, or there are no rounds in this way of dividing.
    """
    if settings.by in ("subject", "random"):
        return [str(number) for number in range(settings.folds)]
    column = {"fold": "fold", "leave_one_out": "subject", "corpus": "corpus"}.get(settings.by)
    if column is None:
        raise UsageError(
            f"by={settings.by!r} divides once; rounds come of fold, subject, leave_one_out, corpus, random"
        )
    values = _required(manifest, column, "or divide in another way")
    return sorted({str(value) for value in values.dropna()}, key=_natural)


def round_names(values: Iterable[str]) -> dict[str, str]:
    """What files and folders of every round are called: people may have names that no file may have."""
    names: dict[str, str] = {}
    for value in values:
        name = re.sub(r"[^\w.-]+", "_", value) or "_"
        while name in names.values():
            name += "_"
        names[value] = name
    return names


def _by_fold(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    values = _required(manifest, "fold", "or let mien make folds of subjects (by subject)")
    known = folds(manifest, settings)
    for wanted in (settings.fold, settings.validation_fold):
        if wanted is not None and str(wanted) not in known:
            raise UsageError(f"{manifest.name}: no fold {wanted!r}; the column has {', '.join(known)}")
    roles = {str(settings.fold): "test", str(settings.validation_fold): "validation"}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for id_, value in values.dropna().items():
        parts[roles.get(str(value), "train")].append(str(id_))
    return parts


def _by_subjects(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    subjects = _required(manifest, "subject", "or use the manifest's own split (by split)")
    if subjects.isna().any():
        row = subjects.index[subjects.isna()][0]
        raise UsageError(f"{manifest.place(str(row))} has no subject; folds of subjects need one in every row")
    units = _units(manifest, subjects)
    fold_of = _balanced_folds(units, settings)
    return _parts_of(units.map(fold_of), settings)


def _units(manifest: Manifest, subjects: pd.Series) -> pd.Series:
    """What must not be torn apart: subjects, with all others who share a group with them. Rows without one stay alone.

    A unit is called as the first of its subjects.
    """
    ids = list(subjects.index)
    names = subjects.astype("str").where(subjects.notna(), pd.Series(ids, index=subjects.index))
    if not manifest.has("group"):
        return names
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    name, subject = pd.factorize(names, sort=True)
    group, _ = pd.factorize(manifest.column("group", ids))
    grouped = group >= 0
    edges = (np.ones(grouped.sum(), dtype=np.int8), (name[grouped], len(subject) + group[grouped]))
    nodes = len(subject) + int(group.max(initial=-1)) + 1
    _, unit = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    _, first, of_name = np.unique(unit[: len(subject)], return_index=True, return_inverse=True)
    return pd.Series(np.asarray(subject)[first[of_name[name]]], index=names.index)


def _by_names(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    subjects = _required(manifest, "subject", "which says who is to be seen in each row")
    roles = {_plain(name): "test" for name in settings.test}
    roles |= {_plain(name): "validation" for name in settings.validation_subjects}
    known = {_plain(str(name)) for name in subjects.dropna()}
    for name in (*settings.test, *settings.validation_subjects):
        if _plain(name) not in known:
            raise UsageError(f"{manifest.name}: no subject {name!r}; it has {', '.join(sorted(known, key=_natural))}")
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for id_, name in subjects.items():
        if pd.isna(name):
            raise UsageError(f"{manifest.place(str(id_))} has no subject; by='named' needs one in every row")
        parts[roles.get(_plain(str(name)), "train")].append(str(id_))
    return parts


def _by_one(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    """One subject tests; who shares a group with it neither trains nor tests."""
    parts = _by_names(manifest, ProtocolSettings(by="named", test=(str(settings.fold),)))
    if manifest.has("group"):
        near = set(manifest.column("group", parts["test"]).dropna())
        groups = manifest.column("group", parts["train"])
        parts["train"] = list(groups.index[~groups.isin(near)])
    return parts


def _by_corpus(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    corpora = _required(manifest, "corpus", "as `mien corpora join` writes it").astype("str")
    known = folds(manifest, settings)
    if str(settings.fold) not in known or len(known) < 2:
        raise UsageError(
            f"{manifest.name}: cannot test on {settings.fold!r} and train on others; it holds {', '.join(known)}"
        )
    test = corpora == str(settings.fold)
    return {"train": list(corpora.index[~test]), "validation": [], "test": list(corpora.index[test])}


def _plain(name: str) -> str:
    """``7`` for ``07``: tables lose the zeros before numbers."""
    return str(int(name)) if name.isdecimal() else name


def _by_chance(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    ids = sorted(manifest.ids)
    order = generator(settings.seed, "random folds").permutation(len(ids))
    folds = pd.Series(order % settings.folds, index=pd.Index(ids))
    return _parts_of(folds, settings)


def _all(manifest: Manifest, settings: ProtocolSettings) -> dict[str, list[str]]:
    return {"train": manifest.ids, "validation": [], "test": []}


_DIVIDERS = {
    "split": _by_split,
    "fold": _by_fold,
    "subject": _by_subjects,
    "random": _by_chance,
    "named": _by_names,
    "leave_one_out": _by_one,
    "corpus": _by_corpus,
    "all": _all,
}


def _balanced_folds(subjects: pd.Series, settings: ProtocolSettings) -> dict[str, int]:
    """Whole subjects to folds, largest first into the emptiest fold; equal sizes in seeded order."""
    counts = subjects.value_counts()
    names = sorted(counts.index)
    if len(names) < settings.folds:
        raise UsageError(f"{len(names)} subject(s) cannot make {settings.folds} folds; ask for fewer folds")
    rank = dict(zip(names, generator(settings.seed, "subject folds").permutation(len(names)), strict=True))
    loads = [0] * settings.folds
    fold_of: dict[str, int] = {}
    for name in sorted(names, key=lambda name: (-int(counts[name]), int(rank[name]))):
        fold_of[name] = int(np.argmin(loads))
        loads[fold_of[name]] += int(counts[name])
    return fold_of


def _parts_of(folds: pd.Series, settings: ProtocolSettings) -> dict[str, list[str]]:
    test = folds == _fold_number(settings)
    return {"train": list(folds.index[~test]), "validation": [], "test": list(folds.index[test])}


def _fold_number(settings: ProtocolSettings) -> int:
    for number in range(settings.folds):
        if str(settings.fold) == str(number):
            return number
    raise UsageError(f"fold {settings.fold!r} does not exist; {settings.folds} folds are 0..{settings.folds - 1}")


def _hold_out(manifest: Manifest, train: Iterable[str], settings: ProtocolSettings) -> tuple[list[str], list[str]]:
    """Training ids and a validation part of whole subjects (rows where unknown) of about the wanted share."""
    train = sorted(train)
    units = pd.Series(train, index=pd.Index(train))
    if manifest.has("subject"):
        units = _units(manifest, manifest.column("subject", train))
    names = sorted(set(units))
    order = generator(settings.seed, "validation").permutation(len(names))
    sizes = units.value_counts()
    held: set[str] = set()
    count = 0
    for at in order[:-1]:
        if count >= settings.validation * len(train):
            break
        held.add(names[at])
        count += int(sizes[names[at]])
    chosen = units.isin(held)
    return list(units.index[~chosen]), list(units.index[chosen])


def _required(manifest: Manifest, column: str, remedy: str) -> pd.Series:
    if not manifest.has(column):
        raise UsageError(f"{manifest.name}: no column {column!r} to divide by; add it, {remedy}")
    return manifest.column(column)


def _natural(value: str) -> tuple[bool, float, str]:
    try:
        return (False, float(value), value)
    except ValueError:
        return (True, 0.0, value)
