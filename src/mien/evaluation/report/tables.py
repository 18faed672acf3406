"""The tables of a report. Every one of figures says what the weights had seen of the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from mien.errors import UsageError
from mien.evaluation.calibration import ambiguity
from mien.evaluation.intervals import LEVEL, REPLICATES, holm
from mien.evaluation.paired import Paired, pair
from mien.evaluation.report.sources import Source
from mien.evaluation.scores import Score
from mien.pages import Estimate, Marked, PValue, Table

HARDEST = 12
SEEN = "corpus seen in training"
# Metrics whose differences are tested; more tests would cost power and say the same again.
TESTED = 2


def interval_text(score: Score) -> str:
    """``0.512 [0.470, 0.551]``; an undefined value or interval is a dash."""
    return str(Estimate(score.value, score.interval.low, score.interval.high))


def seen(source: Source) -> Marked:
    """What the weights have seen of the judged corpus, for the last column of a table."""
    told = (source.summary or {}).get("seen", {})
    level = told.get("level", "unknown")
    return Marked(str(told.get("mark", "not recorded")), "bad" if level in ("perhaps", "clips") else "soft")


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
        *((source.name for source in judged) if not alone else ("value", "n", f"{unit}s", "better", SEEN)),
    )
    rows = []
    for name, score in names.items():
        cells = [_estimate(source.score(name)) for source in judged]
        if alone:
            better = "higher" if score["higher_is_better"] else "lower"
            rows.append(
                (score["title"], *cells, f"{score['n']} {score['counted']}", score["units"], better, seen(judged[0]))
            )
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
    return Table("results", "Results", head, tuple(rows), f"in brackets the {level:g} % interval, by {unit}")


def classes(source: Source) -> Table:
    """Recall, precision and F1 of every class."""
    found = (source.summary or {}).get("classes", ())
    rows = tuple(
        (
            one["name"],
            *(_estimate(one[name]) for name in ("recall", "precision", "f1")),
            one["n"],
            one["predicted"],
            seen(source),
        )
        for one in found
    )
    head = ("class", "recall", "precision", "F1", "true", "predicted", SEEN)
    return Table("classes", f"Classes, {source.name}", head, rows)


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
            difference = None if gap["value"] is None else _estimate(gap, signed=True)
            tests = [None if gap["value"] is None else PValue(_nan(gap[name])) for name in ("p", "p_holm")]
            cells = [_estimate(entry) for entry in (one, *further)]
            rows.append((one["group"], *cells, difference, *tests, one["clips"], one["units"], seen(source)))
        titles = [next(o["title"] for o in own if o["metric"] == name) for name in (metric, *others)]
        head = (column, *titles, f"{titles[0]}, gap to the others", "p", "p (Holm)", "clips", f"{unit}s", SEEN)
        note = f"Gaps and p-values are of {titles[0]}, drawn by {unit}; Holm corrects for all gaps of this report."
        tables.append(Table(f"groups_{column}", f"By {column}, {source.name}", head, tuple(rows), note))
    return tables


def missing(source: Source) -> Table | None:
    """Metrics where only some modalities are kept; None where that was not asked for."""
    grid = [row for row in (source.summary or {}).get("missing", ()) if row["kind"] == "grid"]
    if not grid:
        return None
    rows = tuple(
        (row["modality"], row["distortion"] or None, row["metric"], _estimate(row), seen(source)) for row in grid
    )
    head = ("kept", "in place of the others", "metric", "value", SEEN)
    return Table("missing", f"With modalities missing, {source.name}", head, rows)


def differences(sources: Sequence[Source]) -> tuple[Table | None, list[str]]:
    """Every two systems on the same clips, and sentences about those that cannot be compared."""
    pairs: list[tuple[str, Paired]] = []
    problems = []
    for one, other in combinations([source for source in sources if source.predictions], 2):
        assert one.task is not None
        assert one.predictions is not None
        assert other.predictions is not None
        if other.task is None or one.task.config.outputs != other.task.config.outputs:
            problems.append(f"{one.name} and {other.name} answer in other words and cannot be compared")
            continue
        settings = (one.summary or {}).get("settings", {})
        drawn = settings.get("level", LEVEL), settings.get("replicates", REPLICATES), settings.get("seed", 0)
        names = one.task.metrics()[:TESTED]
        try:
            both = one.predictions, other.predictions
            pairs.append((one.name, pair(one.task, both, other.name, names, one.units, one.videos, *drawn)))
        except UsageError as error:
            problems.append(str(error))
    if not pairs:
        return None, problems
    shown = [name for name in pairs[0][1].comparisons if "/" not in name and not name.endswith("_per_video")]
    corrected = {name: holm([two.comparisons[name].p_value for _, two in pairs]) for name in shown}
    mcnemars = [two.mcnemar.p_value if two.mcnemar else np.nan for _, two in pairs]
    titles = ["difference"]
    for name in shown:
        title = pairs[0][1].titles[name]
        titles += [title, f"{title} p", "p (Holm)", "p (permutation)"]
    classes = pairs[0][1].mcnemar is not None
    titles += ["only first right", "only second right", "McNemar p", "McNemar p (Holm)"] if classes else []
    rows = []
    for at, (name, two) in enumerate(pairs):
        row: list[Any] = [f"{name} − {two.other}"]
        for metric in shown:
            found = two.comparisons[metric]
            interval = found.interval
            row += [Estimate(found.difference, interval.low, interval.high, signed=True), PValue(found.p_value)]
            row += [PValue(corrected[metric][at]), PValue(found.p_permutation)]
        if two.mcnemar:
            row += [
                two.mcnemar.only_first,
                two.mcnemar.only_second,
                PValue(two.mcnemar.p_value),
                PValue(holm(mcnemars)[at]),
            ]
        rows.append(tuple(row))
    unit = (sources[0].summary or {}).get("unit", "subject")
    note = (
        f"Paired bootstrap and permutation by {unit}. McNemar's exact test takes clips as independent. Holm's rule "
        f"corrects each test for the {len(pairs)} comparison(s): read corrected p-values where there are several."
    )
    return Table("differences", "Differences on the same clips", tuple(titles), tuple(rows), note), problems


def hardest(source: Source) -> Table | None:
    """Classes: wrong clips by how sure the model was; values: clips by their mean absolute error."""
    if source.predictions is None or source.task is None or not (source.summary or {}).get("reliability", True):
        return None
    truth, output = source.predictions.truth, source.predictions.output
    ids = source.predictions.ids
    rows: list[tuple[Any, ...]] = []
    if source.task.classes is not None and "reliability" in (source.summary or {}):
        names = source.task.classes
        wrong = np.flatnonzero((truth >= 0) & (output.argmax(axis=1) != truth))
        own = np.take_along_axis(output[wrong], truth[wrong, None], axis=1)[:, 0]
        for at in wrong[np.lexsort((wrong, own))][:HARDEST]:
            chances = float(output[at, truth[at]]), float(output[at].max())
            rows.append(
                (
                    _clip(source, ids[source.predictions.clip_of[at]]),
                    names[truth[at]],
                    names[output[at].argmax()],
                    *chances,
                )
            )
        return Table(
            "hardest",
            "Hardest clips: wrong, and the model was sure",
            ("clip", "true", "said", "chance of the true", "of the said"),
            tuple(rows),
        )
    if source.task.classes is not None:
        return None
    columns = truth.shape[1]
    with np.errstate(invalid="ignore"):
        errors = np.abs(output[:, :columns] - truth)
    totals = [
        float(np.nanmean(errors[source.predictions.clip_of == n]))
        if np.isfinite(errors[source.predictions.clip_of == n]).any()
        else -1.0
        for n in range(len(ids))
    ]
    rows = [(_clip(source, ids[n]), totals[n]) for n in np.argsort(totals)[::-1][:HARDEST] if totals[n] >= 0]
    return Table("hardest", "Hardest clips", ("clip", "mean absolute error"), tuple(rows))


def ambiguous(source: Source) -> Table | None:
    """Clips between whose classes the model hesitates most."""
    if source.predictions is None or source.task is None or source.task.classes is None:
        return None
    if "reliability" not in (source.summary or {}):
        return None
    output, truth, names = source.predictions.output, source.predictions.truth, source.task.classes
    doubt = ambiguity(output)
    rows = []
    for at in np.argsort(-doubt, kind="stable")[:HARDEST]:
        first, second = np.argsort(-output[at], kind="stable")[:2]
        true = names[truth[at]] if truth[at] >= 0 else None
        between = f"{names[first]} {output[at, first]:.2f}, {names[second]} {output[at, second]:.2f}"
        rows.append(
            (_clip(source, source.predictions.ids[source.predictions.clip_of[at]]), true, between, float(doubt[at]))
        )
    head = ("clip", "true", "said between", "ambiguity (0..1)")
    return Table(
        "ambiguous",
        "Most ambiguous clips",
        head,
        tuple(rows),
        "Ambiguity is the entropy of the probabilities over its highest value.",
    )


def costs(sources: Sequence[Source]) -> Table:
    """Training and judging: time, energy where known, memory, parameters, multiplications."""
    rows = []
    for source in sources:
        spent = (source.summary or {}).get("cost", {})
        run = source.run.result if source.run else {}
        views = spent.get("views")
        rows.append(
            (
                source.name,
                _millions(spent.get("parameters")),
                _millions(spent.get("macs_per_view")),
                _span(run.get("seconds")),
                run.get("clips"),
                _memory(run.get("peak_memory")),
                _joules(run.get("energy")),
                _span(spent.get("seconds")),
                f"{views / spent['seconds']:.1f}" if views and spent.get("seconds") else None,
                _memory(spent.get("peak_memory")),
                _joules(spent.get("energy")),
                spent.get("device"),
            )
        )
    head: tuple[str, ...] = (
        "system",
        "parameters (M)",
        "MACs per view (M)",
        "training",
        "clips trained on",
        "peak memory",
        "energy",
    )
    head += ("judging", "views/s", "peak memory, judging", "energy, judging", "on")
    table = Table("cost", "Cost", head, tuple(rows), "A dash is what nobody measured.")
    return table if len(rows) > 1 else _upright(table)


def ledger(source: Source) -> Table | None:
    """Corpora that the weights have seen."""
    if source.run is None or not source.run.ledger:
        return None
    rows = tuple(
        (e.get("corpus", ""), e.get("stage", ""), e.get("clips"), str(e.get("protocol", ""))[:12] or None)
        for e in source.run.ledger
    )
    return Table(
        "ledger", f"Data that these weights have seen, {source.name}", ("corpus", "stage", "clips", "protocol"), rows
    )


def _upright(table: Table) -> Table:
    rows = tuple(
        (name, value) for name, value in zip(table.head[1:], table.rows[0][1:], strict=True) if value is not None
    )
    return Table(table.name, table.title, ("what", "value"), rows)


def _clip(source: Source, id_: str) -> str:
    if "path" not in source.table or "id" not in source.table:
        return id_
    path = source.table.loc[source.table["id"].astype(str) == id_, "path"]
    return id_ if path.empty or path.iloc[0] == id_ else f"{path.iloc[0]} ({id_})"


def _estimate(entry: Mapping[str, Any] | None, signed: bool = False) -> Estimate | None:
    if entry is None:
        return None
    return Estimate(_nan(entry["value"]), _nan(entry["low"]), _nan(entry["high"]), signed=signed)


def _nan(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _millions(count: int | None) -> str | None:
    return None if count is None else f"{count / 1e6:,.2f}"


def _span(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _memory(count: int | None) -> str | None:
    return None if count is None else f"{count / 2**30:.2f} GiB"


def _joules(joules: float | None) -> str | None:
    return None if joules is None else f"{joules / 3600:.2f} Wh"
