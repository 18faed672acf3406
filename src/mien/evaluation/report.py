"""A result as one HTML page that loads nothing from elsewhere and prints well."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files as resources
from typing import TYPE_CHECKING

from mien.evaluation.metrics import recalls

if TYPE_CHECKING:
    from mien.evaluation.result import EvaluationResult
    from mien.evaluation.scores import Score

SHOWN_FAILURES = 50
CAPTIONS = {
    "confusion": "Confusion matrix: rows are the truth, percentages are of the true class",
    "scatter": "Truth against output; on the grey line they agree",
    "curves": "Truth and output over time in the longest clips",
}
_NOTE = (
    "Figures speak of <em>apparent</em> emotion as annotated in this corpus. They do not say what a person feels, and "
    "they hold for people and recordings like these."
)


def render(result: EvaluationResult, pictures: Mapping[str, bytes]) -> str:
    """The page; ``pictures`` are PNG files by name, shown in that order."""
    style = resources("mien.evaluation").joinpath("report.css").read_text("utf-8")
    config = result.task.config
    title = f"{result.weights.model}: {config.kind} per {config.level}"
    body = [
        f'<h1>{escape(title)}</h1><p class="soft">{escape(_judged(result))}</p>',
        f'<p class="note">{_NOTE}</p>',
        _card("Results", _scores(result)),
        _card("What a reader must know", _list(result.notes)) if result.notes else "",
        *(_card(CAPTIONS[name], _image(content, CAPTIONS[name])) for name, content in pictures.items()),
        _card("Classes", _classes(result)) if result.task.classes else "",
        _card("Not scored", _failures(result)) if result.predictions.failures else "",
        _card("How it was done", _words(_facts(result))),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{''.join(body)}"
        "<footer>Made by mien on this machine; the page loads nothing from elsewhere.</footer></main></body></html>\n"
    )


def interval_text(score: Score) -> str:
    """``0.512 [0.470, 0.551]``; an undefined value or interval is a dash."""
    low, high = score.interval.low, score.interval.high
    bounds = f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else " [–]"
    return (f"{score.value:.3f}" if math.isfinite(score.value) else "–") + bounds


def _judged(result: EvaluationResult) -> str:
    scored, asked = len(result.predictions.clips), len(result.part.ids)
    return f"{result.part.name} part of {result.manifest.name}: {scored} of {asked} clips scored"


def _scores(result: EvaluationResult) -> str:
    level = f"{100 * result.scores[0].interval.level:g} % interval"
    rows = (
        (
            score.title,
            f"{score.value:.3f}" if math.isfinite(score.value) else "–",
            interval_text(score).partition(" ")[2],
            f"{score.n} {score.counted}",
            str(score.interval.units),
            "higher" if score.higher_is_better else "lower",
        )
        for score in result.scores
    )
    return _table(("metric", "value", level, "n", f"{result.unit}s", "better"), rows)


def _classes(result: EvaluationResult) -> str:
    matrix, classes = result.confusion, result.task.classes
    assert matrix is not None
    assert classes is not None
    rows = (
        (name, f"{recall:.3f}" if math.isfinite(recall) else "–", str(true), str(predicted))
        for name, recall, true, predicted in zip(
            classes, recalls(matrix.astype(float)), matrix.sum(axis=1), matrix.sum(axis=0), strict=True
        )
    )
    return _table(("class", "recall", "true", "predicted"), rows)


def _failures(result: EvaluationResult) -> str:
    failures = result.predictions.failures
    rows = ((failure.id, failure.path, failure.reason) for failure in failures[:SHOWN_FAILURES])
    more = len(failures) - SHOWN_FAILURES
    rest = f'<p class="soft">and {more} more: see metrics.json</p>' if more > 0 else ""
    return _table(("clip", "file", "reason"), rows) + rest


def _facts(result: EvaluationResult) -> dict[str, str]:
    settings = result.settings
    views = "windows that cover the clip" if result.task.config.level == "frame" else f"{settings['views']} per clip"
    which = f" ({result.weights.which})" if result.weights.which else ""
    return {
        "weights": f"{result.weights.source}{which}",
        "SHA-256": result.weights.sha256,
        "protocol": result.part.digest,
        "views": views + (f", {settings['crops']} crops" if settings["crops"] > 1 else ""),
        "device": f"{settings['device']}, {settings['precision']}",
        "intervals": f"{settings['replicates']} bootstrap samples of {result.unit}s, seed {settings['seed']}",
    }


def _card(title: str, content: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{content}</section>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"


def _words(facts: Mapping[str, str]) -> str:
    lines = "".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in facts.items())
    return f'<table class="words"><tbody>{lines}</tbody></table>'


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _image(content: bytes, caption: str) -> str:
    return f'<img alt="{escape(caption)}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
