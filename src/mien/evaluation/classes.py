"""Every class by itself: recall, precision and F1 with intervals by subject."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mien.evaluation.intervals import LEVEL, REPLICATES, Interval, bootstrap, resample
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
    whole, drawn = confusions(judgement.sums.sum(axis=0)), resample(judgement.sums, replicates, seed)
    found = []
    for number, name in enumerate(names):
        values, intervals = {}, {}
        for measure in MEASURES:
            value = partial(_measure, number=number, measure=measure)
            values[measure] = float(value(judgement.sums.sum(axis=0)))
            intervals[measure] = bootstrap(judgement.sums, value, level, replicates, seed, (0.0, 1.0), drawn)
        found.append(ClassScore(name, int(whole[number].sum()), int(whole[:, number].sum()), values, intervals))
    return tuple(found)


def _measure(sums: Floats, number: int, measure: str) -> Floats:
    matrix = confusions(sums)
    hits = matrix[..., number, number]
    true, predicted = matrix[..., number, :].sum(axis=-1), matrix[..., number].sum(axis=-1)
    below = {"recall": true, "precision": predicted, "f1": (true + predicted) / 2}[measure]
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / below
