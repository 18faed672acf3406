"""Folds of a cross-validation put together, in the two ways that papers use without saying which."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mien import __version__
from mien.errors import UsageError
from mien.evaluation.exposure import RANK, SEEN, Level
from mien.evaluation.predictions import Predictions
from mien.evaluation.report.sources import Source, load_source
from mien.evaluation.report.tables import seen
from mien.evaluation.scores import Score, judge, score
from mien.files import complete, finite, write_json
from mien.pages import Estimate, Marked, Table, bullets, card, note, page, words


@dataclass(frozen=True)
class FoldScore:
    """One metric over all folds.

    Attributes:
        concatenated: judged once on the clips of all test parts together, with its interval by subject.
        folds: judged on every test part by itself, in order.
        mean: mean of ``folds``: a fold counts as much as another, however many clips it has.
        deviation: their sample standard deviation.
        low, high: 95 % interval of the mean, Student's t over folds. Folds share training clips, so it is too narrow.
    """

    concatenated: Score
    folds: tuple[float, ...]
    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class Folds:
    """A whole cross-validation.

    Attributes:
        names: of the folds.
        clips: scored in each.
        missed: clips of each that could not be scored.
        protocols: digest of each fold's protocol.
        weights: SHA-256 of the weights that were tested in each.
        notes: what a reader of any fold's results must know.
        unit: what intervals draw.
        seen: the most that the weights of a fold have seen of the corpus, for every table.
        scores: by name of the metric.
        paths: files that were written, by name.
    """

    names: tuple[str, ...]
    clips: tuple[int, ...]
    missed: tuple[int, ...]
    protocols: tuple[str, ...]
    weights: tuple[str, ...]
    notes: tuple[str, ...]
    unit: str
    seen: Marked
    scores: dict[str, FoldScore]
    paths: dict[str, Path]

    @property
    def digest(self) -> str:
        """SHA-256 over the sorted digests of the folds' protocols: the same whatever the order of folds."""
        return hashlib.sha256(json.dumps(sorted(self.protocols), separators=(",", ":")).encode()).hexdigest()


def aggregate(folders: Sequence[Path | str], out: Path | str) -> Folds:
    """Put evaluations of the test parts of folds together; writes ``crossvalidation.json``, a page and its tables.

    Raises:
        UsageError: a clip is tested in two folds, or the folds have different tasks.
    """
    sources, out = [load_source(folder) for folder in folders], Path(out)
    predictions, units, videos = _joined(sources)
    task = sources[0].task
    assert task is not None
    names = [one["name"] for one in (sources[0].summary or {})["scores"] if "/" not in one["name"]]
    metrics = [name for name in names if not name.endswith("_per_video")]
    whole = score(judge(task, predictions, metrics, units, videos))
    scores = {}
    for one in whole:
        found = [source.score(one.name) for source in sources]
        values = [np.nan if f is None or f["value"] is None else float(f["value"]) for f in found]
        scores[one.name] = _fold_score(one, values)
    paths = {"metrics": out / "crossvalidation.json", "report": out / "report.html"}
    told: list[Any] = [source.summary for source in sources]
    folds = Folds(
        names=tuple(source.name for source in sources),
        clips=tuple(len(source.predictions.clips) for source in sources if source.predictions),
        missed=tuple(len(one["not_scored"]) for one in told),
        protocols=tuple(one["data"]["protocol"] for one in told),
        weights=tuple(one["weights"]["sha256"] for one in told),
        notes=tuple(dict.fromkeys(text for one in told for text in one["notes"])),
        unit="clip" if units is None else "subject",
        seen=_seen(sources),
        scores=scores,
        paths=paths,
    )
    _write(folds)
    return folds


def _seen(sources: Sequence[Source]) -> Marked:
    levels: list[Level] = [(source.summary or {}).get("seen", {}).get("level", "unknown") for source in sources]
    return seen(sources[int(np.argmax([RANK.index(level) for level in levels]))])


def _joined(sources: Sequence[Source]) -> tuple[Predictions, list[str] | None, list[str]]:
    """All clips in the order of their ids, with their people and recordings."""
    unit_of: dict[str, str] = {}
    video_of: dict[str, str] = {}
    first = sources[0].task
    for source in sources:
        task = source.task
        if task is None or first is None or source.predictions is None or task.config != first.config:
            raise UsageError(f"{source.name}: its task is not that of {sources[0].name}; folds belong to one recipe")
        again = sorted(unit_of.keys() & set(source.predictions.ids))
        if again:
            raise UsageError(f"clip {again[0]!r} is tested in two folds, {source.name} the second; each belongs to one")
        unit_of |= dict(zip(source.predictions.ids, source.units or source.predictions.ids, strict=True))
        video_of |= dict(zip(source.predictions.ids, source.videos, strict=True))
    predictions = Predictions.join([source.predictions for source in sources if source.predictions])
    units = [unit_of[id_] for id_ in predictions.ids] if any(source.units for source in sources) else None
    return predictions, units, [video_of[id_] for id_ in predictions.ids]


def _fold_score(one: Score, values: Sequence[float]) -> FoldScore:
    count, mean = len(values), float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) if count > 1 else np.nan
    half = stats.t.ppf(0.975, count - 1) * deviation / np.sqrt(count) if count > 1 else np.nan
    return FoldScore(one, tuple(values), mean, deviation, mean - half, mean + half)


def _write(folds: Folds) -> None:
    tables = (_figures(folds), _rounds(folds), _tested(folds))
    title = f"Cross-validation over {len(folds.names)} folds"
    body = f"<h1>{title}</h1>{note('Figures speak of <em>apparent</em> emotion as annotated in this corpus.')}"
    body += "".join(card(table.title, table.html()) for table in tables)
    body += card("What a reader must know", bullets(folds.notes)) if folds.notes else ""
    body += card("How it was done", words({"protocol": folds.digest, "mien": __version__}))
    for table in tables:
        for suffix, write in (("csv", table.csv), ("tex", table.latex), ("md", table.markdown)):
            with complete(folds.paths["report"].parent / "tables" / f"{table.name}.{suffix}") as part:
                part.write_text(write(), encoding="utf-8")
    with complete(folds.paths["report"]) as part:
        part.write_text(page(title, body), encoding="utf-8")
    write_json(folds.paths["metrics"], summarise_folds(folds))


def _figures(folds: Folds) -> Table:
    rows: tuple[tuple[Any, ...], ...] = tuple(
        (
            one.concatenated.title,
            Estimate(one.concatenated.value, one.concatenated.interval.low, one.concatenated.interval.high),
            Estimate(one.mean, one.low, one.high),
            one.deviation,
        )
        for one in folds.scores.values()
    )
    head = ("metric", "concatenated", "mean of folds", "sd of folds")
    said = (
        f"Concatenated: all test clips judged at once, 95 % interval by {folds.unit}. Mean of folds: every fold counts "
        "alike, 95 % interval by Student's t over folds, which share training clips: too narrow. Say which you cite."
    )
    return Table("crossvalidation", "Cross-validation", head, rows, said, (SEEN, folds.seen))


def _rounds(folds: Folds) -> Table:
    """Every fold by itself: many folds make a long table, which paper and telephones take better than a wide one."""
    columns = (folds.names, folds.clips, folds.missed, *(one.folds for one in folds.scores.values()))
    titles = (one.concatenated.title for one in folds.scores.values())
    return Table("folds", "Folds", ("fold", "clips", "not scored", *titles), tuple(zip(*columns, strict=True)))


def _tested(folds: Folds) -> Table:
    """Which clips each fold was judged on, by which weights."""
    columns = zip(folds.names, folds.protocols, folds.weights, strict=True)
    rows = tuple((name, protocol[:12], weights[:12]) for name, protocol, weights in columns)
    said = "The first 12 digits of each digest; crossvalidation.json has all 64."
    return Table("protocols", "Protocols and weights", ("fold", "protocol", "weights (SHA-256)"), rows, said)


def summarise_folds(folds: Folds) -> dict[str, Any]:
    """Plain data; what is undefined is None."""
    values: dict[str, Any] = {
        "folds": dict(zip(folds.names, folds.clips, strict=True)),
        "not_scored": dict(zip(folds.names, folds.missed, strict=True)),
        "protocol": folds.digest,
        "protocols": dict(zip(folds.names, folds.protocols, strict=True)),
        "weights": dict(zip(folds.names, folds.weights, strict=True)),
        "notes": folds.notes,
        "unit": folds.unit,
        SEEN: folds.seen.text,
        "scores": {name: asdict(one) for name, one in folds.scores.items()},
        "files": {name: str(path) for name, path in folds.paths.items()},
    }
    plain: dict[str, Any] = finite(values)
    return plain
