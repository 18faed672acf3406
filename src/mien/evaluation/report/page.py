"""The page itself: which parts it has, in which order, and the files beside it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.evaluation.metrics import METRICS
from mien.evaluation.pictures import CAPTIONS
from mien.evaluation.report import accounts, clips, comparison, drawings, tables
from mien.evaluation.report.sources import Source, distinct
from mien.files import complete
from mien.pages import Estimate, Table, bullets, card, chapter, command, contents, grid, heat, image, note, page, words

SHOWN_FAILURES = 50
# Pictures of an evaluation that the page shows as they are.
SHOWN = tuple(kind for kind in CAPTIONS if kind not in ("confusion", "risk_coverage"))
MOST_TILES = 4
FORMATS = {"csv": Table.csv, "tex": Table.latex, "md": Table.markdown}
_NOTE = (
    "Figures speak of <em>apparent</em> emotion as annotated in this corpus. They do not say what a person feels, and "
    "they hold for people and recordings like these."
)


@dataclass(frozen=True)
class Look:
    """How a page shows things.

    Attributes:
        method: how features come to a plane, see ``drawings.MAPS``.
        faces: show the pictures of clips as they are; False blurs them beyond recognition.
    """

    method: str = "pca"
    faces: bool = False


def write_report(sources: Sequence[Source], path: Path, look: Look | None = None) -> dict[str, Path]:
    """Write the page, and its tables as CSV, LaTeX and Markdown to ``tables`` beside it; returns paths by name."""
    html, found = render(sources, look)
    folder = path.parent / "tables"
    for table in found:
        for suffix, write in FORMATS.items():
            with complete(folder / f"{table.name}.{suffix}") as part:
                part.write_text(write(table), encoding="utf-8")
    with complete(path) as part:
        part.write_text(html, encoding="utf-8")
    return {"report": path, **({"tables": folder} if found else {})}


def render(sources: Sequence[Source], look: Look | None = None) -> tuple[str, list[Table]]:
    """The page, and the tables on it."""
    found: list[Table] = []
    sources = distinct(sources)
    title, judged = _title(sources), [source for source in sources if source.summary]
    head = f'<h1>{escape(title)}</h1><p class="soft">{escape(_subtitle(judged or list(sources)))}</p>{note(_NOTE)}'
    head += _headline(judged) if judged else ""
    body = "".join(_parts(sources, look or Look(), found))
    return page(title, head + contents(body) + body), found


def _parts(sources: Sequence[Source], look: Look, found: list[Table]) -> Iterator[str]:
    judged = [source for source in sources if source.summary]
    if judged:
        yield _shown(tables.results(judged), found)
        if len(judged) > 1:
            compared, problems = comparison.comparisons(judged)
            yield from (_shown(table, found) for table in compared)
            yield card("Not compared", bullets(problems)) if problems else ""
    notes = list(dict.fromkeys(text for source in judged for text in (source.summary or {})["notes"]))
    yield card("What a reader must know", bullets(notes)) if notes else ""
    yield _curves(sources)
    several = len(sources) > 1
    cost = _shown(accounts.costs(sources), found)
    yield cost if several else ""
    for source in sources:
        yield chapter(source.name) if several else ""
        yield from (_of_one(source, look, found, several) if source.summary else ())
        yield "" if several else cost
        yield _shown(accounts.ledger(source), found, source, several)
        yield _protocol(source, several)


def _of_one(source: Source, look: Look, found: list[Table], several: bool) -> Iterator[str]:
    """What concerns one system alone: classes, groups, calibration, the map, single clips."""
    summary: Any = source.summary
    name = f", {source.name}" if several else ""
    if "confusion" in summary:
        names = [one["name"] for one in summary["classes"]]
        matrix = heat(names, np.asarray(summary["confusion"]), mark=tables.mark(source))
        yield card(f"Confusion matrix{name}", matrix, CAPTIONS["confusion"], not several)
        yield _shown(tables.classes(source), found, source, several)
    for kind, content in source.pictures.items():
        if kind in SHOWN and ("missing" in summary or not kind.startswith("missing")):
            yield card(f"{CAPTIONS[kind]}{name}", image(content, CAPTIONS[kind]), listed=not several)
    yield _shown(tables.missing(source), found, source, several)
    yield _shown(tables.answered(source), found, source, several)
    for table in tables.groups(source):
        yield _shown(table, found, source, several)
    yield _plots(source, look, several)
    source = replace(source, manifest=clips.find_manifest(source))
    for singled in (clips.hardest(source), clips.ambiguous(source)):
        if singled is not None:
            yield _shown(singled.table, found, source, several, clips.pictures(source, singled, not look.faces))
    failures = summary["not_scored"]
    if failures:
        rows = tuple((one["id"], one["path"], one["reason"]) for one in failures[:SHOWN_FAILURES])
        more = f"and {len(failures) - SHOWN_FAILURES} more: see metrics.json" if len(failures) > SHOWN_FAILURES else ""
        head = ("clip", "file", "reason")
        table = Table("failures", "Not scored", head, rows, more, tables.mark(source))
        yield card(f"Not scored{name}", table.html(), listed=not several)


def _plots(source: Source, look: Look, several: bool) -> str:
    """Whether confidence keeps its word, what abstaining would buy, and the map of features."""
    drawn = {
        "Reliability": (
            "Share of right answers over confidence. On the grey line confidence keeps its word; the larger a dot, the "
            "more answers.",
            drawings.reliability([source]),
        ),
        "Risk and coverage": (
            "What abstaining would buy: share of wrong answers among the surest.",
            drawings.risk(source),
        ),
        "Embeddings": (drawings.about_embedding(source, look.method), drawings.embedding(source, look.method)),
    }
    pictures = [
        f"<h3>{title}</h3>{image(content, said)}<p class='soft'>{said}</p>"
        for title, (said, content) in drawn.items()
        if content
    ]
    what = "Confidence and features" if drawn["Reliability"][1] else "Features"
    title = f"{what}, {source.name}" if several else what
    return card(title, grid(pictures), listed=not several) if pictures else ""


def _shown(
    table: Table | None, found: list[Table], source: Source | None = None, several: bool = False, before: str = ""
) -> str:
    """A card with a table, which is also kept for the files beside the page; ``before`` is HTML above it."""
    if table is None:
        return ""
    own = several and source is not None
    if own and source is not None:
        title = table.title if table.title.endswith(source.name) else f"{table.title}, {source.name}"
        table = replace(table, name=f"{table.name}_{_safe(source.name)}", title=title)
    taken = {one.name for one in found}
    name, number = table.name, 2
    while name in taken:
        name, number = f"{table.name}_{number}", number + 1
    found.append(replace(table, name=name))
    return card(table.title, before + table.html(), listed=not own)


def _headline(judged: Sequence[Source]) -> str:
    """One system: its first metrics, large; several: the first metrics of each on one axis."""
    summary: Any = judged[0].summary
    scores = [one for one in summary["scores"] if "/" not in one["name"] and not one["name"].endswith("_per_video")]
    if len(judged) > 1:
        drawn = [(one["title"], drawings.forest(judged, one["name"])) for one in scores[:2]]
        pictures = [image(content, f"{title} of every system with its interval") for title, content in drawn if content]
        return f'<section class="card">{grid(pictures)}</section>'
    tiles = []
    for score in scores[:MOST_TILES]:
        value, low, high = (np.nan if score[name] is None else score[name] for name in ("value", "low", "high"))
        text, _, bounds = str(Estimate(value, low, high)).partition(" ")
        title = escape(score["title"])
        tiles.append(f'<p class="soft">{title}</p><p class="figure">{text}</p><p class="soft">{escape(bounds)}</p>')
    first, seen = scores[0], tables.seen(judged[0])
    unit = summary["unit"] + ("" if first["units"] == 1 else "s")
    units = f" of {first['units']} {unit}" if summary["unit"] != first["counted"].rstrip("s") else ""
    told = (
        f"{first['n']} {first['counted']}{units}; in brackets {100 * first['level']:g} % intervals. Corpus seen in "
        f'training: <b class="{seen.kind}">{escape(seen.text)}</b>'
    )
    large = "".join(f"<div>{one}</div>" for one in tiles)
    return f'<section class="card"><div class="tiles">{large}</div><p>{told}</p></section>'


def _curves(sources: Sequence[Source]) -> str:
    metrics = [
        str(column)
        for source in sources
        if source.run is not None
        for column in source.run.validation
        if column not in ("step", "epoch", "n") and "/" not in str(column)
    ]
    wanted = [("loss", "train", "training loss"), ("lr", "train", "learning rate")]
    for column in list(dict.fromkeys(metrics))[:2]:
        title = METRICS[column].title if column in METRICS else column
        wanted.append((column, "validation", f"{title} on validation"))
    drawn = [(title, drawings.learning(sources, column, kind, title)) for column, kind, title in wanted]
    pictures = [image(content, f"{title} over epochs") for title, content in drawn if content]
    return card("Training", grid(pictures)) if pictures else ""


def _protocol(source: Source, several: bool) -> str:
    """Which clips, which weights, how they were judged, and the commands that repeat it."""
    summary: Any = source.summary or {}
    facts: dict[str, str] = {}
    if summary:
        settings, data, weights = summary["settings"], summary["data"], summary["weights"]
        which = f" ({weights['which']})" if weights["which"] else ""
        facts = {
            "weights": f"{weights['source']}{which}",
            "SHA-256": weights["sha256"],
            "data": f"{data['part']} part of {data['manifest']}: {data['scored']} of {data['clips']} clips scored",
            "protocol": data["protocol"],
            "intervals": f"{settings['replicates']} bootstrap samples of {summary['unit']}s, seed {settings['seed']}",
        }
        if summary["cost"]:
            per_frame = summary["task"]["level"] == "frame"
            views = "windows that cover the clip" if per_frame else f"{settings['views']} per clip"
            facts["views"] = views + (f", {settings['crops']} crops" if settings["crops"] > 1 else "")
            facts["device"] = f"{settings['device']}, {settings['precision']}"
    if source.run is not None:
        run = source.run
        seed = run.recipe.get("seed")
        facts |= {"run": str(run.folder), "recipe": f"{run.recipe.get('name', '')}, seed {seed}"}
    facts["mien"] = str(summary.get("mien", __version__))
    commands = "".join(command(line) for line in commands_of(source))
    title = f"How it was done{f', {source.name}' if several else ''}"
    return card(title, words(facts) + (f"<h3>To repeat it</h3>{commands}" if commands else ""), listed=not several)


def commands_of(source: Source) -> list[str]:
    """The commands that repeat a result."""
    commands = []
    if source.run is not None:
        verb = "pretrain" if source.run.recipe.get("pretext") else "train"
        recipe = str(source.run.folder / "recipe.yaml")
        commands.append(shlex.join(["mien", verb, recipe, "--run", f"{source.run.folder}-again"]))
    summary: Any = source.summary
    if summary and summary["cost"]:
        settings, data = summary["settings"], summary["data"]
        line = ["mien", "evaluate", summary["weights"]["source"], "--data", data["manifest"], "--split", data["part"]]
        line += [
            "--views",
            str(settings["views"]),
            "--precision",
            settings["precision"],
            "--seed",
            str(settings["seed"]),
        ]
        line += ["--crops", str(settings["crops"])] if settings["crops"] > 1 else []
        commands.append(shlex.join([*line, *(word for name in settings["groups"] for word in ("--group", name))]))
    elif summary:
        commands.append(shlex.join(["mien", "report", summary["weights"]["source"]]))
    return commands


def _title(sources: Sequence[Source]) -> str:
    if len(sources) > 1:
        return f"{len(sources)} systems side by side"
    summary: Any = sources[0].summary
    if not summary:
        return f"{sources[0].name}: not judged yet"
    return f"{summary['weights']['model']}: {summary['task']['kind']} per {summary['task']['level']}"


def _subtitle(sources: Sequence[Source]) -> str:
    """Which clips, said once where all systems were judged on as many of the same part."""
    told = []
    for source in sources:
        data = (source.summary or {}).get("data")
        if data:
            of = f" of {data['manifest']}" if (source.summary or {})["cost"] or len(sources) == 1 else ""
            told.append(f"{data['part']} part{of}: {data['scored']} of {data['clips']} clips scored")
    return "; ".join(dict.fromkeys(told)) or "training so far"


def _safe(name: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in name)
