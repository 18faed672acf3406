"""Do probabilities mean what they say? Calibration error, Brier score, and how well doubt finds mistakes.

All are functions of sums over clips, so intervals by subject come as for any other metric (``mien.evaluation.metrics``
registers them). ``p`` is a distribution over K classes, its highest entry the confidence.

Sources: Guo et al. 2017 (expected calibration error, equal bins of confidence); Brier 1950 (the original form, a sum
over all classes); Hendrycks and Gimpel 2017 (area under the ROC of confidence against correctness).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mien.evaluation.tallies import Floats, Ints, group_sums

BINS = 15
# Histogram of confidence from which the ROC of doubt is computed; ties within a bin count half.
FINE = 400
LEAST = 1e-12


@dataclass(frozen=True)
class Reliability:
    """Confidence against correctness.

    Attributes:
        edges: borders of the bins of confidence, ``(B + 1,)``.
        count: clips in each bin, ``(B,)``.
        confidence, accuracy: their mean confidence and the share of them that is right; NaN in an empty bin.
    """

    edges: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error."""
        full = self.count > 0
        gaps = np.abs(self.confidence - self.accuracy)[full]
        return float(self.count[full] @ gaps / self.count.sum()) if full.any() else np.nan


def reliability(truth: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> Reliability:
    """The reliability curve of class ids ``(N,)`` and probabilities ``(N, K)``."""
    truth_, scores = np.asarray(truth, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    sums = count_confidence(truth_, scores, np.zeros(len(truth_), dtype=np.int64), 1, bins)[0].reshape(3, bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Reliability(np.linspace(0, 1, bins + 1), sums[0].astype(np.int64), sums[1] / sums[0], sums[2] / sums[0])


def count_confidence(truth: Ints, scores: Floats, groups: Ints, count: int, bins: int = BINS) -> Floats:
    """Clips, summed confidence and right ones by bin of confidence and group: ``(count, 3 * bins)``."""
    confidence, right = _confidence(truth, scores)
    # a bin holds its upper border, as published; nothing lies at 0
    at = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return _by_bin((np.ones(len(at)), confidence, right), at, bins, groups, count)


def calibration_error(sums: Floats) -> Floats:
    """Expected calibration error from ``count_confidence``: mean gap of confidence and accuracy, weighted by clips."""
    number, confidence, right = np.split(sums, 3, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(confidence - right).sum(axis=-1) / number.sum(axis=-1)


def count_brier(truth: Ints, scores: Floats, groups: Ints, count: int) -> Floats:
    """Clips and their squared distances from the truth, summed over classes (0..2), by group: ``(count, 2)``."""
    distance = ((scores - np.eye(scores.shape[1])[truth]) ** 2).sum(axis=1)
    return group_sums(np.stack([np.ones(len(truth)), distance], axis=1), groups, count)


def count_surprise(truth: Ints, scores: Floats, groups: Ints, count: int) -> Floats:
    """Clips and their negative log-likelihoods (nats; probabilities below 1e-12 count as that), by group."""
    own = np.take_along_axis(scores, truth[:, None], axis=1)[:, 0]
    return group_sums(np.stack([np.ones(len(truth)), -np.log(np.maximum(own, LEAST))], axis=1), groups, count)


def count_doubt(truth: Ints, scores: Floats, groups: Ints, count: int) -> Floats:
    """Wrong and right clips by fine bin of confidence and group: ``(count, 2 * FINE)``."""
    confidence, right = _confidence(truth, scores)
    at = np.clip((confidence * FINE).astype(np.int64), 0, FINE - 1)
    return _by_bin((1 - right, right), at, FINE, groups, count)


def doubt_finds_mistakes(sums: Floats) -> Floats:
    """From ``count_doubt``: chance that of a wrong and a right clip the wrong one has the lower confidence.

    0.5 is no better than guessing; NaN where all clips are right, or all wrong.
    """
    wrong, right = np.split(sums, 2, axis=-1)
    below = np.cumsum(wrong, axis=-1) - wrong / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (below * right).sum(axis=-1) / (wrong.sum(axis=-1) * right.sum(axis=-1))


def ambiguity(probabilities: ArrayLike) -> Floats:
    """Entropy of each row of ``(N, K)`` over its highest possible value: 0 is sure of one class, 1 of none."""
    p = np.asarray(probabilities, dtype=np.float64)
    p = p / np.maximum(p.sum(axis=1, keepdims=True), LEAST)
    entropy = -(p * np.log(np.maximum(p, LEAST))).sum(axis=1)
    return np.clip(entropy / np.log(max(p.shape[1], 2)), 0.0, 1.0)


def _confidence(truth: Ints, scores: Floats) -> tuple[Floats, Floats]:
    return scores.max(axis=1, initial=0.0), (scores.argmax(axis=1) == truth).astype(np.float64)


def _by_bin(columns: tuple[Floats, ...], at: Ints, bins: int, groups: Ints, count: int) -> Floats:
    cells = groups * bins + at
    sums = [np.bincount(cells, weights=column, minlength=count * bins).reshape(count, bins) for column in columns]
    return np.concatenate(sums, axis=1).astype(np.float64)
