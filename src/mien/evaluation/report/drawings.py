"""Drawings of a report as SVG: sharp on any screen and in print. Small enough to be read on a phone."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mien.errors import UsageError
from mien.evaluation.report.sources import Source
from mien.evaluation.selective import risk_coverage
from mien.evaluation.tallies import Floats

SIZE = (4.6, 3.2)
# Okabe and Ito's colours: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")
MOST_POINTS = 3000  # of a map; of more clips every second one is drawn, or every third, ...
MARKS = "os^DvP*X"  # a class's mark, beside its colour
_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}  # behind words that a line may cross
LINES = ("-", "--", ":", "-.")  # of runs, where colours come round again
MAPS = ("pca", "tsne", "umap")
TITLES = {"tsne": "t-SNE", "umap": "UMAP"}


def forest(sources: Sequence[Source], name: str) -> bytes | None:
    """One metric of every system as a point with its interval, one below the other; None where nobody has it."""
    known = [(source.name, score) for source in sources if (score := source.score(name)) and score["value"] is not None]
    if not known:
        return None
    figure, axes = _figure(known[0][1]["title"], "", (SIZE[0], 0.8 + 0.42 * len(known)))
    for row, (_, score) in enumerate(known):
        value, low, high = (np.nan if score[end] is None else score[end] for end in ("value", "low", "high"))
        axes.plot([low, high], [row, row], color=_colour(row), linewidth=2.5, solid_capstyle="butt")
        axes.plot(value, row, "o", color=_colour(row), markersize=7)
        axes.annotate(f"{value:.3f}", (value, row), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=9)
    axes.set_yticks(range(len(known)), [_short(title) for title, _ in known], fontsize=9)
    axes.set_ylim(len(known) - 0.5, -0.7)
    axes.grid(axis="x", color="#dfe4ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return _svg(figure)


def risk(source: Source) -> bytes | None:
    """Share of wrong answers among the surest, over their share of all; None for values and for mere class names."""
    if source.predictions is None or "risk_coverage" not in (source.summary or {}):
        return None
    curve = risk_coverage(source.predictions.truth, source.predictions.output)
    figure, axes = _figure("share of answers given, the surest first", "share of them that is wrong")
    axes.axhline(curve.risk[-1], color="grey", linewidth=0.8, linestyle="--")
    said = f"all answered: {curve.risk[-1]:.3f}"
    axes.annotate(
        said, (0.01, curve.risk[-1]), xytext=(0, 3), textcoords="offset points", fontsize=8, zorder=3, bbox=_PAPER
    )
    share, wrong = np.insert(curve.coverage, 0, 0.0), np.insert(curve.risk, 0, curve.risk[0])
    axes.step(share, wrong, where="pre", color=_colour(0), linewidth=1.4)
    axes.set(xlim=(0, 1), ylim=(0, max(float(curve.risk.max()) * 1.15, 0.05)))
    return _svg(figure)


def learning(sources: Sequence[Source], column: str, kind: str, title: str) -> bytes | None:
    """One line per run of a column of its logs (``train`` or ``validation``) over epochs; None where nobody has it."""
    figure, axes = _figure("epoch", title)
    drawn = 0
    for number, source in enumerate(sources):
        log: pd.DataFrame = getattr(source.run, kind) if source.run else pd.DataFrame()
        if column in log and "epoch" in log and log[column].notna().any():
            known = log[log[column].notna()]
            axes.plot(
                known["epoch"],
                known[column],
                color=_colour(number),
                linestyle=LINES[number // len(COLOURS) % len(LINES)],
                linewidth=1.4,
                marker="." if len(known) < 30 else "",
                label=_short(source.name),
            )
            drawn += 1
    if not drawn:
        return None
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    if len(sources) > 1:
        figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=_columns(sources))
    return _svg(figure)


def reliability(sources: Sequence[Source]) -> bytes | None:
    """Share of right clips over the model's confidence; on the grey line it keeps its word."""
    figure, axes = _figure("confidence", "share that is right")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    drawn = 0
    for number, source in enumerate(sources):
        curve = (source.summary or {}).get("reliability")
        if not curve:
            continue
        count = np.asarray(curve["count"], dtype=np.float64)
        x, y = (
            np.array([np.nan if v is None else v for v in curve[name]], dtype=np.float64)
            for name in ("confidence", "accuracy")
        )
        full = count > 0
        axes.plot(x[full], y[full], color=_colour(number), linewidth=1)
        axes.scatter(
            x[full], y[full], s=8 + 160 * count[full] / count.sum(), color=_colour(number), alpha=0.8, label=source.name
        )
        drawn += 1
    axes.set(xlim=(0, 1.02), ylim=(0, 1.04))
    if len(sources) > 1:
        axes.legend(fontsize=8, frameon=False)
    return _svg(figure) if drawn else None


def embedding(source: Source, method: str = "pca") -> bytes | None:
    """Pooled features of all clips in a plane; colour and mark tell the truth, hollow ones were answered wrong."""
    if source.features is None or source.predictions is None or source.task is None or len(source.features) < 3:
        return None
    every = _every(source.features)
    plane, axes_names = project(source.features[::every], method)
    clip_of, truth = source.predictions.clip_of, source.predictions.truth
    first = np.unique(clip_of, return_index=True)[1][::every]
    figure, axes = _figure(*axes_names)
    if source.task.classes is not None:
        wrong = source.predictions.output.argmax(axis=1)[first] != truth[first]
        for number, name in enumerate(source.task.classes):
            own = truth[first] == number
            for part, label in ((own & ~wrong, _short(name)), (own & wrong, None)):
                axes.scatter(
                    *plane[part].T,
                    s=16,
                    marker=MARKS[number % len(MARKS)],
                    facecolors=_colour(number) if label else "none",
                    edgecolors=_colour(number),
                    linewidths=0.8,
                    label=label,
                )
        longest = max(map(len, source.task.classes))
        columns = 4 if longest <= 12 else 2 if longest <= 24 else 1
        figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=columns)
    else:
        values = pd.Series(truth[:, 0]).groupby(clip_of).mean().to_numpy()[::every]
        shade = axes.scatter(*plane.T, s=10, c=values, cmap="coolwarm")
        figure.colorbar(shade, ax=axes, label=source.task.columns()[0])
    return _svg(figure)


def about_embedding(source: Source, method: str) -> str:
    """How to read the map, in words."""
    told = "Clips in the plane of their features"
    if source.task is not None and source.task.classes is None:
        told += f", coloured by the true {source.task.columns()[0]}."
    else:
        told += "; colour and mark are the true class, hollow marks were answered wrong."
        if source.task is not None and source.task.config.level == "frame":
            told += " A clip stands by its first frame."
    if source.features is not None and (every := _every(source.features)) > 1:
        told += f" One of every {every} clips is drawn."
    if method != "pca":
        told += " Clips side by side are alike; distances between groups, their sizes and the axes mean nothing."
    return told


def _every(features: Floats) -> int:
    return -(-len(features) // MOST_POINTS)


def project(features: Floats, method: str) -> tuple[Floats, tuple[str, str]]:
    """Features ``(N, D)`` → ``(N, 2)`` and what the axes are called.

    Raises:
        UsageError: the method is unknown, or its package is not installed.
    """
    centred = features - features.mean(axis=0)
    if method == "pca":
        left, scale, _ = np.linalg.svd(centred, full_matrices=False)
        share = scale**2 / max(float((scale**2).sum()), 1e-12)
        plane = np.zeros((len(features), 2))
        count = min(2, len(scale))
        plane[:, :count] = left[:, :count] * scale[:count]
        names = [
            f"component {n + 1} ({100 * (share[n] if n < len(share) else 0):.0f} % of the variance)" for n in range(2)
        ]
        return plane, (names[0], names[1])
    try:
        if method == "tsne":
            from sklearn.manifold import TSNE

            fitted = TSNE(random_state=0, perplexity=min(30.0, (len(features) - 1) / 3)).fit_transform(centred)
        elif method == "umap":
            from umap import UMAP

            fitted = UMAP(random_state=0).fit_transform(centred)
        else:
            raise UsageError(f"map {method!r} is not known; use {', '.join(MAPS)}")
    except ImportError as error:
        raise UsageError(f"map {method!r} needs {error.name}, which is not installed; use pca") from None
    return np.asarray(fitted, dtype=np.float64), (f"{TITLES[method]} 1 (no unit)", f"{TITLES[method]} 2 (no unit)")


def _figure(x: str, y: str, size: tuple[float, float] = SIZE):  # type: ignore[no-untyped-def]
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _columns(sources: Sequence[Source]) -> int:
    """Of a legend below a drawing, as its names allow."""
    longest = max(len(_short(source.name)) for source in sources)
    return 4 if longest <= 9 else 3 if longest <= 14 else 2 if longest <= 22 else 1


def _short(name: str, most: int = 28) -> str:
    """The beginning and the end of a long name: runs of one series differ in their ends."""
    if len(name) <= most:
        return name
    return f"{name[: (most - 1) // 2]}…{name[-(most // 2) :]}"


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # a fixed salt and no date: the same figures give the same bytes
    with rc_context({"svg.hashsalt": "mien"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
