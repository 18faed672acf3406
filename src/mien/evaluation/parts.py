"""Which clips are judged, and what the weights have seen of them before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import yaml

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError
from mien.evaluation.exposure import Seen, what_was_seen
from mien.models.specification import Exposure

PartName = Literal["train", "validation", "test", "all"]


@dataclass(frozen=True)
class TrainingRecord:
    """What a run's folder says about how its weights came about.

    Attributes:
        folder: of the run.
        protocol: which rows trained, validated and tested.
        manifest: that they stand in; None where the file is not there any more.
        weights: which weights the bundle holds, in words; empty where the run does not say.
    """

    folder: Path
    protocol: Protocol
    manifest: Manifest | None
    weights: str

    @classmethod
    def read(cls, source: Path | str) -> TrainingRecord | None:
        """The record of a run; None for a bundle alone or a hub id."""
        folder = Path(source)
        if folder.name == "bundle" and not (folder / "protocol.json").exists():
            folder = folder.parent
        if not (folder / "protocol.json").is_file():
            return None
        recipe = _mapping(folder / "recipe.yaml")
        path = _mapping(recipe.get("data")).get("manifest")
        manifest = Manifest.read(path) if isinstance(path, str) and Path(path).is_file() else None
        weights = _mapping(folder / "metrics.json").get("weights", "")
        return cls(folder, Protocol.read(folder / "protocol.json"), manifest, str(weights))


def _mapping(source: object) -> dict[str, object]:
    """A mapping as it is, or read from a YAML or JSON file; empty where it is neither."""
    if isinstance(source, Path):
        try:
            source = yaml.safe_load(source.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            return {}
    return source if isinstance(source, dict) else {}


@dataclass(frozen=True)
class Part:
    """The rows that are judged.

    Attributes:
        name: train, validation, test or all.
        ids: of the rows, sorted.
        digest: of the protocol that they are part of.
        notes: what a reader of the figures must know about how they were chosen and what the weights have seen.
        seen: what the weights have seen of this corpus, in a word for every table.
    """

    name: PartName
    ids: tuple[str, ...]
    digest: str
    notes: tuple[str, ...]
    seen: Seen


def choose(
    manifest: Manifest,
    name: PartName = "test",
    record: TrainingRecord | None = None,
    protocol: Protocol | None = None,
    ledger: tuple[Exposure, ...] = (),
    published: bool = False,
    corpus: str = "",
) -> Part:
    """The rows of a part: by the given protocol, else the run's own where it fits the manifest, else column split.

    Args:
        manifest: the corpus.
        name: the part; ``all`` takes every row.
        record: of the run that made the weights.
        protocol: overrules the run's.
        ledger: what the weights have seen according to their bundle.
        published: state that trained people or clips are among the judged ones instead of refusing it.
        corpus: name of the corpus in ledgers; by default the manifest's folder.

    Raises:
        UsageError: the part is empty or undefined, or holds people or clips that the run trained on.
    """
    if name == "all":
        protocol = Protocol(test=tuple(sorted(manifest.ids)))
        ids = protocol.test
    else:
        protocol = protocol or _own(manifest, name, record) or _by_split(manifest, published)
        ids = tuple(sorted(getattr(protocol, name)))
    if not ids:
        raise UsageError(f"{manifest.name}: the {name} part has no clips; judge another, or look at the column split")
    manifest.positions(ids)
    notes = list(protocol.notes)
    if name == "validation":
        notes.append("validation clips: the weights may have been chosen on them")
    if name == "train":
        notes.append("training clips: these figures say nothing about unseen people")
    elif record is not None:
        validated = () if name == "validation" else record.protocol.validation
        notes += seen_before(manifest, ids, record, validated, published or record.protocol.settings.published)
    seen = what_was_seen(manifest, protocol, ledger, record.protocol if record else None, corpus, ids)
    if name == "train" or any("trained these weights" in note for note in notes):
        seen = Seen("clips", seen.stages)
    return Part(name, ids, protocol.digest, tuple(dict.fromkeys([*notes, *seen.sentences()])), seen)


def _own(manifest: Manifest, name: PartName, record: TrainingRecord | None) -> Protocol | None:
    """The run's protocol, where the manifest holds at least one row of the part."""
    if record is None or not set(getattr(record.protocol, name)) & set(manifest.ids):
        return None
    return record.protocol


def _by_split(manifest: Manifest, published: bool) -> Protocol:
    if not manifest.has("split"):
        raise UsageError(
            f"{manifest.name}: no column 'split' that names the test clips; add it, give --protocol, or judge every "
            "row with --split all"
        )
    return Protocol.from_manifest(manifest, ProtocolSettings(by="split", published=published))


def seen_before(
    manifest: Manifest, ids: tuple[str, ...], record: TrainingRecord, validation: tuple[str, ...], published: bool
) -> list[str]:
    """Sentences on clips and people that the run trained or validated on (``validation``) and that are judged now.

    Names of people are compared where both tables speak of the same corpus: they share recordings or a folder.

    Raises:
        UsageError: trained clips or people are among the judged ones and ``published`` is False.
    """
    trained_on = {*record.protocol.train, *validation}
    own = next((table for table in (record.manifest, manifest) if table and trained_on <= set(table.ids)), None)
    if own is None:
        again = sorted(set(ids) & set(record.protocol.train))
        if again:
            return [_refuse_or_say(again, published)]
        return ["the manifest that the run trained on is not there any more: people could not be compared"]
    judged, trained, validated = (
        _absolute(manifest, ids, "test"),
        _absolute(own, record.protocol.train, "train"),
        _absolute(own, validation, "validation"),
    )
    again = _same_stretches(judged, trained)
    if again:
        return [_refuse_or_say(again, published)]
    if manifest.root != own.root and not set(judged["path"]) & set(_absolute(own, tuple(own.ids), "any")["path"]):
        return ["another corpus than the one trained on: that nobody is in both cannot be seen from the tables"]
    filled = [frame for frame in (judged, trained, validated) if len(frame)]
    both = Manifest(pd.concat(filled, ignore_index=True), own.root, manifest.name)
    parts = Protocol(train=tuple(trained["id"]), validation=tuple(validated["id"]), test=tuple(judged["id"]))
    return list(parts.check(both, published))


def _absolute(manifest: Manifest, ids: tuple[str, ...], part: str) -> pd.DataFrame:
    """Rows with absolute paths, and ids that say which part they come from."""
    frame = manifest.select(ids).frame
    kept = frame[[column for column in ("path", "start", "end", "subject", "group") if column in frame]].copy()
    kept["path"] = [str((manifest.root / str(path)).resolve()) for path in kept["path"]]
    kept["id"] = [f"{part} {id_}" for id_ in frame["id"]]
    return kept


def _same_stretches(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    def stretches(frame: pd.DataFrame) -> set[tuple[str, float, float]]:
        filled = frame.reindex(columns=["path", "start", "end"]).fillna({"start": 0.0, "end": float("inf")})
        return set(filled.itertuples(index=False, name=None))

    return sorted(path for path, _, _ in stretches(one) & stretches(other))


def _refuse_or_say(again: list[str], published: bool) -> str:
    text = f"{len(again)} of the judged clips trained these weights, such as {again[0]}"
    if not published:
        raise UsageError(f"{text}; judge clips that it has not seen (--split test), or say --published")
    return f"{text}, as in the published protocol"
