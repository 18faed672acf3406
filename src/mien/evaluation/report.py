"""A result as one HTML page that loads nothing from elsewhere and prints well."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from mien.evaluation.metrics import recalls
from mien.pages import Estimate, Table, bullets, card, image, page, words

if TYPE_CHECKING:
    from mien.evaluation.missing import Missing
    from mien.evaluation.result import EvaluationResult
    from mien.evaluation.scores import Score

SHOWN_FAILURES = 50
CAPTIONS = {
    "confusion": "Confusion matrix: rows are the truth, percentages are of the true class",
    "risk_coverage": "What abstaining would buy: wrong answers by the share of clips answered, the surest first",
    "scatter": "Truth against output; on the grey line they agree",
    "curves": "Truth and output over time in the longest clips",
}
_NOTE = (
    "Figures speak of <em>apparent</em> emotion as annotated in this corpus. They do not say what a person feels, and "
    "they hold for people and recordings like these."
)


def render(result: EvaluationResult, pictures: Mapping[str, bytes]) -> str:
    """The page; ``pictures`` are PNG files by name, shown in that order."""
    config = result.task.config
    title = f"{result.weights.model}: {config.kind} per {config.level}"
    body = [
        f'<h1>{escape(title)}</h1><p class="soft">{escape(_judged(result))}</p>',
        f'<p class="note">{_NOTE}</p>',
        card("Results", _scores(result)),
        card("What a reader must know", bullets(result.notes)) if result.notes else "",
        *(card(CAPTIONS[name], image(content, CAPTIONS[name])) for name, content in pictures.items()),
        card("Classes", _classes(result)) if result.task.classes else "",
        _missing(result.missing) if result.missing is not None else "",
        card("Not scored", _failures(result)) if result.predictions.failures else "",
        card("How it was done", words(_facts(result))),
    ]
    return page(title, "".join(body))


def interval_text(score: Score) -> str:
    """``0.512 [0.470, 0.551]``; an undefined value or interval is a dash."""
    return str(Estimate(score.value, score.interval.low, score.interval.high))


def _judged(result: EvaluationResult) -> str:
    scored, asked = len(result.predictions.clips), len(result.part.ids)
    return f"{result.part.name} part of {result.manifest.name}: {scored} of {asked} clips scored"


def _scores(result: EvaluationResult) -> str:
    level = f"value and {100 * result.scores[0].interval.level:g} % interval"
    rows = tuple(
        (
            score.title,
            Estimate(score.value, score.interval.low, score.interval.high),
            f"{score.n} {score.counted}",
            score.interval.units,
            "higher" if score.higher_is_better else "lower",
        )
        for score in result.scores
    )
    return Table("results", "Results", ("metric", level, "n", f"{result.unit}s", "better"), rows).html()


def _classes(result: EvaluationResult) -> str:
    matrix, classes = result.confusion, result.task.classes
    assert matrix is not None
    assert classes is not None
    counts = zip(classes, recalls(matrix.astype(float)), matrix.sum(axis=1), matrix.sum(axis=0), strict=True)
    rows = tuple((name, float(recall), int(true), int(predicted)) for name, recall, true, predicted in counts)
    return Table("classes", "Classes", ("class", "recall", "true", "predicted"), rows).html()


def _failures(result: EvaluationResult) -> str:
    failures = result.predictions.failures
    rows = tuple((failure.id, failure.path, failure.reason) for failure in failures[:SHOWN_FAILURES])
    more = len(failures) - SHOWN_FAILURES
    rest = f"and {more} more: see metrics.json" if more > 0 else ""
    return Table("failures", "Not scored", ("clip", "file", "reason"), rows, rest).html()


def _missing(missing: Missing) -> str:
    """Pictures of both, and the grid as a table."""
    from mien.evaluation.missing_pictures import WORDS, draw_missing

    pictures = draw_missing(missing)
    rows = tuple(
        (
            row["modality"],
            WORDS.get(row["distortion"], ""),
            missing.metrics[row["metric"]],
            Estimate(row["value"], row["low"], row["high"]),
        )
        for metric in missing.metrics
        for row in missing.rows(metric)
        if row["kind"] == "grid"
    )
    table = Table("missing", "Kept", ("kept", "in place of the others", "metric", "value"), rows).html()
    curves = image(pictures["missing_curves"], "Score against the share of clips or time without a modality")
    return card("With modalities missing", image(pictures["missing_grid"], "Score by what is kept") + table + curves)


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
