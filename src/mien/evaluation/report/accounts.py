"""What a report says beside figures: what training and judging cost, and what the weights have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mien.evaluation.exposure import MARKS, SEEN
from mien.evaluation.report.sources import Source
from mien.evaluation.report.tables import mark, seen
from mien.pages import Marked, Table


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
                seen(source) if source.summary else None,
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
    head += ("judging", "views/s", "peak memory, judging", "energy, judging", "on", SEEN)
    note = "A dash is what nobody measured. Energy is that of the whole machine (RAPL, NVML) in that time."
    table = Table("cost", "Cost", head, tuple(rows), note)
    return table if len(rows) > 1 else _upright(table, sources[0])


def ledger(source: Source) -> Table | None:
    """Corpora that the weights have seen, and whether they are what was judged."""
    told = (source.summary or {}).get("seen", {}).get("stages", ())
    stages = {(stage, corpus): level for stage, corpus, level in told}
    entries = source.run.ledger if source.run else ()
    rows = []
    for entry in entries or [{"stage": stage, "corpus": corpus} for stage, corpus, _ in told]:
        corpus, stage = str(entry.get("corpus", "")), str(entry.get("stage", ""))
        level = stages.get((stage, corpus))
        judged = Marked(MARKS[level], "bad" if level in ("perhaps", "clips") else "soft") if level else None
        protocol = str(entry.get("protocol", ""))[:12] or None
        rows.append((corpus, stage, entry.get("clips"), protocol, judged))
    if not rows:
        return None
    head = ("corpus", "stage", "clips", "protocol", "is it judged here?")
    return Table("ledger", "Data that these weights have seen", head, tuple(rows))


def _upright(table: Table, source: Source) -> Table:
    """A system alone: one line per thing, also for what nobody measured."""
    named = zip(table.head[1:-1], table.rows[0][1:-1], strict=True)
    return replace(table, head=("what", "value"), rows=tuple(named), mark=mark(source) if source.summary else None)


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
