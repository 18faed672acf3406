"""What a report says beside figures: what training and judging cost, and what the weights have seen."""

from __future__ import annotations

from collections.abc import Sequence

from mien.evaluation.exposure import MARKS, SEEN
from mien.evaluation.report.sources import Source
from mien.evaluation.report.tables import mark, seen
from mien.pages import Marked, Table
from mien.pages.tables import Value


def costs(sources: Sequence[Source]) -> Table:
    """Training and judging, a system per column: time, energy where known, memory, parameters, multiplications."""
    columns = [_cost_of(source) for source in sources]
    rows: list[tuple[Value, ...]] = [(name, *(column[name] for column in columns)) for name in columns[0]]
    alone = len(sources) == 1
    if not alone:
        rows.append((SEEN, *(seen(source) if source.summary else None for source in sources)))
    note = "A dash is what nobody measured. Energy is that of the whole machine (RAPL, NVML) in that time."
    head = ("what", "value") if alone else ("what", *(source.name for source in sources))
    return Table("cost", "Cost", head, tuple(rows), note, mark(sources[0]) if alone and sources[0].summary else None)


def _cost_of(source: Source) -> dict[str, Value]:
    spent = (source.summary or {}).get("cost", {})
    run = source.run.result if source.run else {}
    views, seconds = spent.get("views"), spent.get("seconds")
    return {
        "parameters (M)": _millions(spent.get("parameters")),
        "MACs per view (M)": _millions(spent.get("macs_per_view")),
        "training: time": _span(run.get("seconds")),
        "training: clips": run.get("clips"),
        "training: peak memory": _memory(run.get("peak_memory")),
        "training: energy": _joules(run.get("energy")),
        "judging: time": _span(seconds),
        "judging: views/s": f"{views / seconds:.1f}" if views and seconds else None,
        "judging: peak memory": _memory(spent.get("peak_memory")),
        "judging: energy": _joules(spent.get("energy")),
        "judging: on": spent.get("device"),
    }


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
