"""Every class by itself: recall, precision and F1 with intervals by subject."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mien.evaluation.intervals import LEVEL, REPLICATES, Interval, bootstrap
from mien.evaluation.scores import Judgement
from mien.evaluation.tallies import Floats, confusions

MEASURES = ("recall", "precision", "f1")


@dataclass(frozen=True)
class ClassScore:
    """One class.

    Attributes:
        name: of the class.
        true, predicted: how many clips belong to it, and how many were said to.
        values: ``recall``, ``precision``, ``f1``; NaN where there is nothing to divide by.
        intervals: of each.
    """

    name: str
    true: int
    predicted: int
    values: dict[str, float]
    intervals: dict[str, Interval]


def by_class(
    judgement: Judgement, names: tuple[str, ...], level: float = LEVEL, replicates: int = REPLICATES, seed: int = 0
) -> tuple[ClassScore, ...]:
    """Classes from a judgement whose sums are confusion counts (UAR's, for one)."""
    matrices = confusions(judgement.sums)
    whole = matrices.sum(axis=0)
    found = []
    for number, name in enumerate(names):
        # three sums are all that a class needs: hits, true ones, predicted ones
        matrices = confusions(judgement.sums)
        own = np.stack(
            [matrices[:, number, number], matrices[:, number].sum(axis=1), matrices[..., number].sum(axis=1)]
        )
        sums, values, intervals = own.T, {}, {}
        for measure in MEASURES:
            value = partial(_measure, measure=measure)
            values[measure] = float(value(sums.sum(axis=0)))
            intervals[measure] = bootstrap(sums, value, level, replicates, seed, (0.0, 1.0))
        found.append(ClassScore(name, int(whole[number].sum()), int(whole[:, number].sum()), values, intervals))
    return tuple(found)


def _measure(sums: Floats, measure: str) -> Floats:
    hits, true, predicted = sums[..., 0], sums[..., 1], sums[..., 2]
    below = {"recall": true, "precision": predicted, "f1": (true + predicted) / 2}[measure]
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / below
