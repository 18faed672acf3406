"""The tables of a report. Every one of figures says what the weights had seen of the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mien.evaluation.exposure import SEEN
from mien.evaluation.metrics import METRICS
from mien.evaluation.missing_pictures import WORDS
from mien.evaluation.report.sources import Source
from mien.evaluation.scores import Score
from mien.pages import Estimate, Marked, PValue, Table


def interval_text(score: Score) -> str:
    """``0.512 [0.470, 0.551]``; an undefined value or interval is a dash."""
    return str(Estimate(score.value, score.interval.low, score.interval.high))


def seen(source: Source) -> Marked:
    """What the weights have seen of the judged corpus, for the last column of a table."""
    told = (source.summary or {}).get("seen", {})
    level = told.get("level", "unknown")
    return Marked(str(told.get("mark", "not recorded")), "bad" if level in ("perhaps", "clips") else "soft")


def mark(source: Source) -> tuple[str, Marked]:
    """The same for a table of one system, see ``mien.pages.Table``."""
    return SEEN, seen(source)


def results(sources: Sequence[Source]) -> Table:
    """Metrics by row, systems by column; a system alone also tells n."""
    judged = [source for source in sources if source.summary]
    names: dict[str, Mapping[str, Any]] = {}
    for source in judged:
        names |= {score["name"]: score for score in (source.summary or {})["scores"] if score["name"] not in names}
    unit = (judged[0].summary or {})["unit"]
    level = 100 * next(iter(names.values()))["level"]
    alone = len(judged) == 1
    head = (
        "metric",
        *((source.name for source in judged) if not alone else ("value", "n", f"{unit}s", "better")),
    )
    rows = []
    for name, score in names.items():
        cells = [estimate(source.score(name)) for source in judged]
        if alone:
            better = "higher" if score["higher_is_better"] else "lower"
            rows.append((score["title"], *cells, f"{score['n']} {score['counted']}", score["units"], better))
        else:
            rows.append((score["title"], *cells))
    if not alone:
        rows.append(
            (
                "n",
                *(f"{(s.summary or {})['scores'][0]['n']} {(s.summary or {})['scores'][0]['counted']}" for s in judged),
            )
        )
        rows.append((f"{unit}s", *((s.summary or {})["scores"][0]["units"] for s in judged)))
        rows.append((SEEN, *(seen(source) for source in judged)))
    note = f"in brackets the {level:g} % interval, by {unit}"
    return Table("results", "Results", head, tuple(rows), note, mark(judged[0]) if alone else None)


def classes(source: Source) -> Table:
    """Recall, precision and F1 of every class."""
    found = (source.summary or {}).get("classes", ())
    rows = tuple(
        (
            one["name"],
            *(estimate(one[name]) for name in ("recall", "precision", "f1")),
            one["n"],
            one["predicted"],
        )
        for one in found
    )
    head = ("class", "recall", "precision", "F1", "true", "predicted")
    return Table("classes", "Classes", head, rows, mark=mark(source))


def groups(source: Source) -> list[Table]:
    """One table for every column that was judged by group: its groups under the task's metrics, and the gaps."""
    found = list((source.summary or {}).get("groups", ()))
    unit = (source.summary or {}).get("unit", "subject")
    tables = []
    for column in dict.fromkeys(one["column"] for one in found):
        own = [one for one in found if one["column"] == column]
        metric = own[0]["metric"]
        first = [one for one in own if one["metric"] == metric]
        others = [name for name in dict.fromkeys(one["metric"] for one in own) if name != metric][:1]
        rows = []
        for one in first:
            further = [next(o for o in own if o["group"] == one["group"] and o["metric"] == name) for name in others]
            gap = one["gap"] or {"value": None, "p": None, "p_holm": None}
            difference = None if gap["value"] is None else estimate(gap, signed=True)
            tests = [None if gap["value"] is None else PValue(_nan(gap[name])) for name in ("p", "p_holm")]
            cells = [estimate(entry) for entry in (one, *further)]
            rows.append((one["group"], *cells, difference, *tests, one["clips"], one["units"]))
        titles = [next(o["title"] for o in own if o["metric"] == name) for name in (metric, *others)]
        head = (column, *titles, f"{titles[0]}, gap to the others", "p", "p (Holm)", "clips", f"{unit}s")
        note = f"Gaps and p-values are of {titles[0]}, drawn by {unit}; Holm corrects for all gaps of this report."
        title = f"By {column}"
        tables.append(Table(f"groups_{column}", title, head, tuple(rows), note, mark(source)))
    return tables


def missing(source: Source) -> Table | None:
    """Metrics where only some modalities are kept; None where that was not asked for."""
    grid = [row for row in (source.summary or {}).get("missing", ()) if row["kind"] == "grid"]
    if not grid:
        return None
    metrics = list(dict.fromkeys(row["metric"] for row in grid))
    found = {(row["modality"], row["distortion"], row["metric"]): estimate(row) for row in grid}
    rows = tuple(
        ("all" if kept == "both" else kept, WORDS.get(way), *(found[kept, way, name] for name in metrics))
        for kept, way in dict.fromkeys((row["modality"], row["distortion"]) for row in grid)
    )
    head = ("kept", "in place of the others", *(METRICS[name].title if name in METRICS else name for name in metrics))
    return Table("missing", "With modalities missing", head, rows, mark=mark(source))


def answered(source: Source) -> Table | None:
    """Metrics of all and of what a calibrated bundle answers; None where it is not calibrated or answers everything."""
    found = (source.summary or {}).get("answered")
    if not found or not found["reasons"]:
        return None
    rows = tuple(
        (score["title"], estimate(source.score(score["name"])), estimate(score), f"{score['n']} {score['counted']}")
        for score in found["scores"]
    )
    told = ", ".join(f"{reason} {count}" for reason, count in found["reasons"].items())
    note = f"Answered: {100 * found['coverage']:.1f} %. Not answered: {told}. The limits are those of the bundle."
    head = ("metric", "everything answered", "with abstaining", "n")
    return Table("answered", "With abstaining", head, rows, note, mark(source))


def estimate(entry: Mapping[str, Any] | None, signed: bool = False) -> Estimate | None:
    """A score of ``metrics.json`` with its interval, NaN for what is undefined there; None for no score."""
    if entry is None:
        return None
    return Estimate(_nan(entry["value"]), _nan(entry["low"]), _nan(entry["high"]), signed=signed)


def _nan(value: float | None) -> float:
    return np.nan if value is None else float(value)
