"""Systems of a report against each other, on the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from mien.errors import UsageError
from mien.evaluation.exposure import SEEN
from mien.evaluation.intervals import LEVEL, REPLICATES, holm
from mien.evaluation.paired import Paired, pair
from mien.evaluation.report.sources import Source
from mien.evaluation.report.tables import seen
from mien.pages import Estimate, Marked, PValue, Table
from mien.pages.tables import Value

# Metrics whose differences are tested; more tests would cost power and say the same again.
TESTED = 2


@dataclass(frozen=True)
class _Pair:
    first: Source
    second: Source
    found: Paired

    @property
    def name(self) -> str:
        return f"{self.first.name} − {self.second.name}"

    @property
    def metrics(self) -> list[str]:
        return [name for name in self.found.comparisons if "/" not in name and not name.endswith("_per_video")]


def comparisons(sources: Sequence[Source]) -> tuple[list[Table], list[str]]:
    """Tables of every two systems on the same clips, and sentences about those that cannot be compared.

    Returns:
        ``differences``: of metrics, with paired bootstrap and permutation; ``mcnemar``: clips that only one of two got
        right, for classes. P-values stand beside those corrected by Holm's rule over all pairs.
    """
    pairs, problems = _pairs([source for source in sources if source.predictions])
    if not pairs:
        return [], problems
    unit = (sources[0].summary or {}).get("unit", "subject")
    tables = [_differences(pairs, unit)]
    if any(one.found.mcnemar for one in pairs):
        tables.append(_mcnemar(pairs))
    return [_marked(table, pairs) for table in tables], problems


def _pairs(sources: Sequence[Source]) -> tuple[list[_Pair], list[str]]:
    pairs, problems = [], []
    for one, other in combinations(sources, 2):
        assert one.task is not None
        assert one.predictions is not None
        assert other.predictions is not None
        if other.task is None or one.task.config.outputs != other.task.config.outputs:
            problems.append(f"{one.name} and {other.name} have other outputs and cannot be compared")
            continue
        settings = (one.summary or {}).get("settings", {})
        drawn = settings.get("level", LEVEL), settings.get("replicates", REPLICATES), settings.get("seed", 0)
        both, names = (one.predictions, other.predictions), one.task.metrics()[:TESTED]
        try:
            pairs.append(_Pair(one, other, pair(one.task, both, other.name, names, one.units, one.videos, *drawn)))
        except UsageError as error:
            problems.append(str(error))
    return pairs, problems


def _differences(pairs: Sequence[_Pair], unit: str) -> Table:
    rows: list[tuple[Value, ...]] = []
    for metric in dict.fromkeys(name for one in pairs for name in one.metrics):
        own = [one for one in pairs if metric in one.found.comparisons]
        corrected = holm([one.found.comparisons[metric].p_value for one in own])
        for one, p_holm in zip(own, corrected, strict=True):
            found = one.found.comparisons[metric]
            difference = Estimate(found.difference, found.interval.low, found.interval.high, signed=True)
            tests = PValue(found.p_value), PValue(p_holm), PValue(found.p_permutation)
            rows.append((one.name, one.found.titles[metric], difference, *tests))
    head = ("difference", "metric", "value", "p (bootstrap)", "p (Holm)", "p (permutation)")
    note = f"Paired bootstrap and permutation by {unit}. {_many(len(pairs))}"
    return Table("differences", "Differences on the same clips", head, tuple(rows), note)


def _mcnemar(pairs: Sequence[_Pair]) -> Table:
    tests = [(one, one.found.mcnemar) for one in pairs if one.found.mcnemar is not None]
    corrected = holm([test.p_value for _, test in tests])
    rows = tuple(
        (one.name, test.only_first, test.only_second, PValue(test.p_value), PValue(p_holm))
        for (one, test), p_holm in zip(tests, corrected, strict=True)
    )
    head = ("first − second", "only first right", "only second right", "McNemar p", "McNemar p (Holm)")
    note = f"McNemar's exact test, which takes clips as independent. {_many(len(tests))}"
    return Table("mcnemar", "Clips that only one of two got right", head, rows, note)


def _many(count: int) -> str:
    if count == 1:
        return "One comparison: nothing to correct for."
    return (
        f"{count} comparisons are made: one of many tests comes out small by chance, so read the p-values that Holm's "
        "rule corrects for their number."
    )


def _marked(table: Table, pairs: Sequence[_Pair]) -> Table:
    """The table with what the weights have seen: as its mark, or by row where systems differ in it."""
    marks = {one.name: _seen_by(one) for one in pairs}
    if len({mark.text for mark in marks.values()}) == 1:
        return replace(table, mark=(SEEN, next(iter(marks.values()))))
    rows = tuple((*row, marks[str(row[0])]) for row in table.rows)
    return replace(table, head=(*table.head, SEEN), rows=rows)


def _seen_by(one: _Pair) -> Marked:
    first, second = seen(one.first), seen(one.second)
    if first.text == second.text:
        return Marked(f"both: {first.text}", first.kind)
    return Marked(
        f"first: {first.text}; second: {second.text}", "bad" if "bad" in (first.kind, second.kind) else "soft"
    )
