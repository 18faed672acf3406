"""What abstaining buys: the risk of those answers that are given, by the share of clips that is answered.

Source: El-Yaniv and Wiener 2010 (risk-coverage curve); Geifman, Uziel and El-Yaniv 2019 (area under it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mien.evaluation.tallies import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Okabe and Ito's colours, as in the other pictures.
_LINE, _IDEAL = "#0072B2", "#999999"


@dataclass(frozen=True)
class RiskCoverage:
    """The curve, from the surest clip alone to all of them.

    Attributes:
        coverage: share of clips answered, ``(M,)``, ascending to 1.
        risk: share of wrong answers among them, ``(M,)``.
        confidence: least confidence that is answered, ``(M,)``.
        ideal: mean risk if confidence put every wrong answer last.
    """

    coverage: Floats
    risk: Floats
    confidence: Floats
    ideal: float

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC): lower is better, ``ideal`` the least for this many errors."""
        width = np.diff(self.coverage, prepend=0.0)
        return float((self.risk * width).sum())

    def at(self, share: float) -> tuple[float, float, float]:
        """Coverage, risk and least confidence of the smallest answered share that is at least ``share``."""
        place = min(int(np.searchsorted(self.coverage, share - 1e-12)), len(self.coverage) - 1)
        return float(self.coverage[place]), float(self.risk[place]), float(self.confidence[place])

    def table(self) -> list[dict[str, float]]:
        """Risk at ``SHARES``, for JSON."""
        rows = [self.at(share) for share in SHARES]
        return [{"coverage": coverage, "risk": risk, "confidence": least} for coverage, risk, least in rows]


def risk_coverage(truth: ArrayLike, probabilities: ArrayLike) -> RiskCoverage:
    """The curve of class ids ``(N,)`` (negative: unknown, left out) and probabilities ``(N, K)``.

    Clips of equal confidence can only be answered together, so they make one point.

    Raises:
        ValueError: no clip has a known class.
    """
    truth_, scores = np.asarray(truth, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    truth_, scores = truth_[truth_ >= 0], scores[truth_ >= 0]
    if not len(truth_):
        raise ValueError("no clip has a known class")
    sure = scores.max(axis=1)
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum((scores.argmax(axis=1) != truth_)[order])
    answered = np.arange(1, len(order) + 1)
    last = np.append(np.diff(sure[order]) != 0, True)
    errors = int(wrong[-1])
    ideal = np.maximum(answered - (len(order) - errors), 0) / answered
    return RiskCoverage(
        answered[last] / len(order), wrong[last] / answered[last], sure[order][last], float(ideal.mean())
    )


def risk_coverage_picture(curve: RiskCoverage) -> Figure:
    """The curve with its area, beside the risk of answering everything."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.step(curve.coverage, curve.risk, where="pre", color=_LINE, label=f"mean risk {curve.area:.3f}")
    axes.axhline(curve.risk[-1], color=_IDEAL, linestyle="--", label=f"all answered {curve.risk[-1]:.3f}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(float(curve.risk.max()) * 1.1, 0.05))
    axes.set_xlabel("share of clips answered, the surest first")
    axes.set_ylabel("share of wrong answers")
    axes.legend(frameon=False, loc="lower right")
    return figure
