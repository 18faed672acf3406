"""Pictures of a result: confusion matrix, truth against output, curves over time. PNG, drawn without a display."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.selective import risk_coverage, risk_coverage_picture
from mien.evaluation.tallies import Floats

if TYPE_CHECKING:
    from mien.evaluation.result import EvaluationResult

CAPTIONS = {
    "confusion": "Rows are the truth; large: percentages of the true class, small: clips",
    "risk_coverage": "What abstaining would buy: wrong answers by the share of clips answered, the surest first",
    "scatter": "Truth against output; on the grey line they agree",
    "curves": "Truth and output over time in the longest clips",
    "missing_grid": "Score by the modalities that are kept",
    "missing_curves": "Score against the share of clips or time without a modality",
}
CURVES = 4
MOST_POINTS = 5000
# Okabe and Ito's colours: told apart by colour-blind readers too.
TRUTH, OUTPUT = "#0072B2", "#D55E00"


def draw(result: EvaluationResult) -> dict[str, bytes]:
    """PNG files by name.

    ``confusion`` and ``risk_coverage`` for classes, ``scatter`` for values, ``curves`` for values over time.
    """
    predictions = result.predictions
    if result.confusion is not None and result.task.classes is not None:
        drawn = {"confusion": _png(confusion_picture(result.confusion, result.task.classes))}
        if result.probable and (predictions.truth >= 0).any():
            curve = risk_coverage(predictions.truth, predictions.output)
            drawn["risk_coverage"] = _png(risk_coverage_picture(curve))
        return drawn
    pictures = {"scatter": _png(scatter_picture(predictions, result.task.columns()))}
    if result.task.config.level == "frame":
        pictures["curves"] = _png(curves_picture(predictions, result.task.columns()))
    return pictures


def confusion_picture(matrix: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """Counts and row percentages ``(K, K)``; colour is the row percentage, so rare classes show as clearly."""
    count = len(classes)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    side = max(3.5, 0.75 * count + 1.8)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(count):
        for column in range(count):
            shade = "white" if shares[row, column] > 0.55 else "black"
            text = f"{matrix[row, column]}\n{100 * shares[row, column]:.0f} %" if totals[row] else "–"
            axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=8)
    axes.set_xticks(range(count), classes, rotation=45, ha="right")
    axes.set_yticks(range(count), [f"{name} ({total})" for name, total in zip(classes, totals[:, 0], strict=True)])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (number)")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def scatter_picture(predictions: Predictions, names: tuple[str, ...]) -> Figure:
    """Truth against output, one panel per output, with the diagonal; at most 5,000 evenly spaced points."""
    truth, output = predictions.truth, predictions.output
    figure = Figure(figsize=(3.6 * len(names) + 0.4, 3.6), layout="constrained")
    for column, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), column + 1)
        known = np.flatnonzero(~np.isnan(truth[:, column]))
        known = known[:: max(1, -(-len(known) // MOST_POINTS))]
        x, y = truth[known, column], output[known, column]
        low, high = _range(np.concatenate([x, y]))
        axes.plot([low, high], [low, high], color="grey", linewidth=0.8)
        axes.scatter(x, y, s=8, alpha=0.4, color=OUTPUT, linewidths=0)
        axes.set(xlim=(low, high), ylim=(low, high), xlabel="truth", ylabel="output", title=name, aspect="equal")
    return figure


def curves_picture(predictions: Predictions, names: tuple[str, ...]) -> Figure:
    """Truth and output over time for the longest clips, one row per clip, one column per output."""
    longest = sorted(predictions.clips, key=lambda clip: (-len(clip.times), clip.id))[:CURVES]
    figure = Figure(figsize=(5.2 * len(names), 1.9 * len(longest) + 0.6), layout="constrained")
    # further columns of outputs (bins) are no values
    shown = [values[:, : len(names)].ravel() for clip in longest for values in (clip.truth, clip.output)]
    low, high = _range(np.concatenate(shown))
    axes = figure.subplots(len(longest), len(names), squeeze=False, sharey=True)
    for row, clip in enumerate(longest):
        for column, name in enumerate(names):
            _curve(axes[row, column], clip, column)
            axes[row, column].set_ylim(low, high)
            if row == 0:
                axes[row, column].set_title(name)
        axes[row, 0].set_ylabel(clip.id[:16])
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    axes[0, 0].legend(loc="upper right", fontsize=8)
    return figure


def _curve(axes, clip: ClipPrediction, column: int) -> None:  # type: ignore[no-untyped-def]
    axes.plot(clip.times, clip.truth[:, column], color=TRUTH, linewidth=1.2, label="truth")
    axes.plot(clip.times, clip.output[:, column], color=OUTPUT, linewidth=1.2, label="output")


def _range(values: Floats) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return -1.0, 1.0
    low, high = float(known.min()), float(known.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
