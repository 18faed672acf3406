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
from mien.evaluation.pictures import CAPTIONS
from mien.evaluation.report import accounts, clips, drawings, tables
from mien.evaluation.report.sources import Source
from mien.files import complete
from mien.pages import Estimate, Table, bullets, card, grid, heat, image, note, page, words

SHOWN_FAILURES = 50
# Pictures of an evaluation that the page shows as they are.
SHOWN = tuple(kind for kind in CAPTIONS if kind != "confusion")
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
    body = "".join(_parts(sources, look or Look(), found))
    title = _title(sources)
    return page(title, f"<h1>{escape(title)}</h1>{body}"), found


def _parts(sources: Sequence[Source], look: Look, found: list[Table]) -> Iterator[str]:
    judged = [source for source in sources if source.summary]
    yield f'<p class="soft">{escape(_subtitle(judged or list(sources)))}</p>{note(_NOTE)}'
    if judged:
        yield _headline(judged)
        yield _shown(tables.results(judged), found)
        if len(judged) > 1:
            differences, problems = tables.differences(judged)
            yield _shown(differences, found) if differences else ""
            yield card("Not compared", bullets(problems)) if problems else ""
    notes = list(dict.fromkeys(text for source in judged for text in (source.summary or {})["notes"]))
    yield card("What a reader must know", bullets(notes)) if notes else ""
    yield _curves(sources)
    for source in judged:
        yield from _of_one(source, look, found, len(judged) > 1)
    yield _shown(accounts.costs(sources), found)
    for source in sources:
        yield _shown(accounts.ledger(source), found, source, len(sources) > 1)
        yield _protocol(source, len(sources) > 1)


def _of_one(source: Source, look: Look, found: list[Table], several: bool) -> Iterator[str]:
    """What concerns one system alone: classes, groups, calibration, the map, single clips."""
    summary: Any = source.summary
    name = f", {source.name}" if several else ""
    if "confusion" in summary:
        names = [one["name"] for one in summary["classes"]]
        matrix = heat(names, np.asarray(summary["confusion"]), mark=tables.mark(source))
        yield card(f"Confusion matrix{name}", matrix, CAPTIONS["confusion"])
        yield _shown(tables.classes(source), found, source, several)
    for kind, content in source.pictures.items():
        if kind in SHOWN and ("missing" in summary or not kind.startswith("missing")):
            yield card(f"{CAPTIONS[kind]}{name}", image(content, CAPTIONS[kind]))
    yield _shown(tables.missing(source), found, source, several)
    yield _shown(tables.answered(source), found, source, several)
    for table in tables.groups(source):
        yield _shown(table, found, source, several)
    pictures = []
    if (curve := drawings.reliability([source])) is not None:
        pictures.append(f"<h3>Calibration</h3>{image(curve, 'Share of right clips over confidence')}")
    if (plane := drawings.embedding(source, look.method)) is not None:
        pictures.append(f"<h3>Embeddings</h3>{image(plane, 'Clips in the plane of their features')}")
    said = "The larger a dot, the more clips; on the grey line confidence keeps its word. Crosses are wrong clips."
    yield card(f"Calibration and embeddings{name}", grid(pictures), said) if pictures else ""
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
        yield card(f"Not scored{name}", table.html())


def _shown(
    table: Table | None, found: list[Table], source: Source | None = None, several: bool = False, before: str = ""
) -> str:
    """A card with a table, which is also kept for the files beside the page; ``before`` is HTML above it."""
    if table is None:
        return ""
    if several and source is not None:
        table = replace(table, name=f"{table.name}_{_safe(source.name)}")
    taken = {one.name for one in found}
    name, number = table.name, 2
    while name in taken:
        name, number = f"{table.name}_{number}", number + 1
    found.append(replace(table, name=name))
    return card(table.title, before + table.html())


def _headline(judged: Sequence[Source]) -> str:
    """The first metric of every system, large."""
    tiles = []
    for source in judged:
        score = (source.summary or {})["scores"][0]
        low, high = (np.nan if score[end] is None else score[end] for end in ("low", "high"))
        value = np.nan if score["value"] is None else score["value"]
        text, _, bounds = str(Estimate(value, low, high)).partition(" ")
        tiles.append(
            f'<p class="soft">{escape(score["title"])}, {escape(source.name)}</p><p class="figure">{text} '
            f"<small>{escape(bounds)}</small></p>"
            f'<p class="soft">{score["n"]} {score["counted"]} of {score["units"]} {(source.summary or {})["unit"]}s; '
            f"corpus seen in training: {escape(tables.seen(source).text)}</p>"
        )
    return f'<section class="card">{grid(tiles)}</section>'


def _curves(sources: Sequence[Source]) -> str:
    metrics = [
        str(column)
        for source in sources
        if source.run is not None
        for column in source.run.validation
        if column not in ("step", "epoch", "n") and "/" not in str(column)
    ]
    wanted = [("loss", "train", "training loss"), ("lr", "train", "learning rate")]
    wanted += [(column, "validation", f"validation {column}") for column in list(dict.fromkeys(metrics))[:2]]
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
    commands = "".join(f"<pre>{escape(line)}</pre>" for line in commands_of(source))
    title = f"How it was done{f', {source.name}' if several else ''}"
    return card(title, words(facts) + (f"<h3>To repeat it</h3>{commands}" if commands else ""))


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
    told = []
    for source in sources:
        data = (source.summary or {}).get("data")
        if data:
            told.append(f"{data['part']} part of {data['manifest']}: {data['scored']} of {data['clips']} clips scored")
    return "; ".join(dict.fromkeys(told)) or "training so far"


def _safe(name: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in name)
