"""The page of a finished run: what was trained on what, its curves, and what a pretraining made of a few clips."""

from __future__ import annotations

import csv
import io
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from mien import __version__, pages
from mien.files import complete
from mien.training.run import Run, RunResult
from mien.training.schema import Recipe

COLOUR = "#0072B2"
CURVES = ("loss", "lr", "gradient_norm")


def write_report(run: Run, recipe: Recipe, result: RunResult) -> Path:
    """``report.html`` of a finished run; loads nothing from elsewhere."""
    facts = {
        "stage": result.stage,
        "model": recipe.model.name + recipe.model.origin,
        "corpus": f"{recipe.data.corpus or recipe.data.manifest}, protocol {result.protocol[:12]}",
        "length": f"{result.steps} steps, {result.clips} clips, {result.seconds:g} s",
        "computed on": f"{result.devices} process(es), {result.precision}",
        "last training loss": f"{result.loss:.4g}",
        "weights of the bundle": result.weights,
    }
    figures = {
        name: "–" if value is None else f"{value:.4g}" for name, value in result.validation.items() if name != "n"
    }
    body = [f"<h1>{escape(recipe.name)}</h1>", pages.card("What was trained", pages.words(facts))]
    if figures:
        count = f"{result.validation.get('n') or 0:g} clips of the validation part; for intervals: mien evaluate"
        body.append(pages.card("Validation", pages.words(figures), count))
    if result.unreadable:
        body.append(pages.card("Left out", pages.bullets(result.unreadable.values())))
    curves = [pages.image(png, name) for name, png in _curves(run.logs).items()]
    if curves:
        body.append(pages.card("Curves", pages.grid(curves)))
    body += _gallery(run.gallery)
    page = run.folder / "report.html"
    with complete(page) as part:
        part.write_text(pages.page(f"{recipe.name}: run of mien {__version__}", "".join(body)), "utf-8")
    return page


def _gallery(folder: Path) -> list[str]:
    """The first and the last picture of a masked pretraining."""
    found = sorted(folder.glob("*.png"))
    shown = [found[0], found[-1]] if len(found) > 1 else found
    text = "Of each clip: original, hidden, reconstructed; a motion target adds what moves, true and reconstructed."
    return [
        pages.card(f"Pictures after step {int(path.stem)}", pages.image(path.read_bytes(), "original and made"), text)
        for path in shown
    ]


def _curves(logs: Path) -> dict[str, bytes]:
    drawn = {}
    for kind, names in (("train", CURVES), ("validation", None)):
        path = logs / f"{kind}.csv"
        if not path.exists():
            continue
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for name in rows[0] if rows else ():
            if name in names if names else name not in ("step", "epoch", "n"):
                points = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
                drawn[f"{kind}: {name}"] = _line(points, f"{kind}: {name}")
    return drawn


def _line(points: list[tuple[int, float]], title: str) -> bytes:
    figure = Figure(figsize=(4.2, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*points, strict=True), color=COLOUR, marker="o" if len(points) < 20 else "", markersize=3)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()
