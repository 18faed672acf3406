"""Pictures of scores with modalities missing: the grid as bars, and curves over the share that is missing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from mien.evaluation.missing import Missing

# Okabe and Ito's colours: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
SIZE = (4.8, 3.4)  # inches: can be read on a phone
WORDS = {"absent": "absent, marked", "zeros": "zeros", "noise": "noise", "addnoise": "noise added"}
AXES = {"clips": "share of clips without it", "time": "share of time without it"}


def draw_missing(missing: Missing) -> dict[str, bytes]:
    """PNG files by name: ``missing_grid`` and ``missing_curves``, of the first metric."""
    return {"missing_grid": _png(grid_picture(missing)), "missing_curves": _png(curves_picture(missing))}


def grid_picture(missing: Missing) -> Figure:
    """What is left when only one modality is kept, by what takes the place of the others; all of them as a line."""
    name, title = next(iter(missing.metrics.items()))
    rows = missing.table[(missing.table["metric"] == name) & (missing.table["kind"] == "grid")]
    both = rows[rows["modality"] == "both"].iloc[0]
    alone = rows[rows["modality"] != "both"]
    kept, ways = list(dict.fromkeys(alone["modality"])), list(dict.fromkeys(alone["distortion"]))
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.axhspan(both["low"], both["high"], color="0.9", zorder=0)
    axes.axhline(both["value"], color="0.4", linewidth=1, label="all modalities")
    width = 0.8 / len(kept)
    for number, modality in enumerate(kept):
        part = alone[alone["modality"] == modality].set_index("distortion").loc[ways]
        places = np.arange(len(ways)) + (number - (len(kept) - 1) / 2) * width
        axes.bar(places, part["value"], width * 0.92, color=COLOURS[number % len(COLOURS)], label=f"only {modality}")
        axes.errorbar(places, part["value"], _reach(part), fmt="none", ecolor="0.2", elinewidth=1, capsize=2)
    axes.set_xticks(range(len(ways)), [WORDS[way] for way in ways])
    axes.set_xlabel("what takes the place of what is missing")
    axes.set_ylabel(title)
    axes.tick_params(labelsize=8)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=3)
    return figure


def curves_picture(missing: Missing) -> Figure:
    """Score against the share of clips and of time without a modality, one line for each that is lost."""
    name, title = next(iter(missing.metrics.items()))
    figure = Figure(figsize=(SIZE[0], 1.6 * SIZE[1]), layout="constrained")
    panels = figure.subplots(2, 1, sharey=True)
    for axes, kind in zip(panels, AXES, strict=True):
        rows = missing.table[(missing.table["metric"] == name) & (missing.table["kind"] == kind)]
        for number, modality in enumerate(dict.fromkeys(rows["modality"])):
            part = rows[rows["modality"] == modality].sort_values("share")
            _line(axes, part, COLOURS[number % len(COLOURS)], f"without {modality}")
        axes.set_xlabel(AXES[kind])
        axes.set_ylabel(title)
        axes.tick_params(labelsize=8)
        axes.set_xlim(0, 1)
    panels[0].legend(fontsize=8)
    return figure


def _line(axes: Axes, part: pd.DataFrame, colour: str, label: str) -> None:
    axes.fill_between(part["share"], part["low"], part["high"], color=colour, alpha=0.15, linewidth=0)
    axes.plot(part["share"], part["value"], color=colour, marker="o", markersize=3, linewidth=1.4, label=label)


def _reach(part: pd.DataFrame) -> np.ndarray:
    """Lengths of the error bars, 0 where there is no interval."""
    reach = np.stack([part["value"] - part["low"], part["high"] - part["value"]])
    return np.nan_to_num(np.maximum(reach, 0.0))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=140, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
