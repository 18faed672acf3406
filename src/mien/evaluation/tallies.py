"""Sums from which metrics are computed.

Every metric here is a function of sums over items (clips, or frames). Sums can be taken per subject and added again in
any combination, which makes bootstrap and jackknife over subjects a matrix product, and results over several
processes exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOMENTS = ("n", "truth", "output", "truth²", "output²", "truth·output", "|error|", "error²", "offset")
# Below this share of the mean square about the whole sample's mean, a variance is rounding and counts as zero.
ROUNDING = 1e-12


def group_sums(items: Floats, groups: Ints, count: int) -> Floats:
    """Sums of rows by group: ``(N, S)``, ``(N,)`` in 0..count-1 → ``(count, S)``."""
    return np.stack([np.bincount(groups, weights=column, minlength=count) for column in items.T], axis=1)


def count_pairs(truth: Ints, predicted: Ints, classes: int, groups: Ints, count: int) -> Floats:
    """Confusion matrices by group, flattened: ``(count, classes * classes)``, rows of the matrix are the truth."""
    cells = classes * classes
    flat = np.bincount(groups * cells + truth * classes + predicted, minlength=count * cells)
    return flat.reshape(count, cells).astype(np.float64)


def confusions(pairs: Floats) -> Floats:
    """Flattened confusion matrices ``(..., K * K)`` → ``(..., K, K)``."""
    classes = int(np.sqrt(pairs.shape[-1]) + 0.5)
    return pairs.reshape(*pairs.shape[:-1], classes, classes)


def count_hits(truth: Ints, scores: Floats, k: int, groups: Ints, count: int) -> Floats:
    """Items, and items whose true class is among the k highest scores, by group: ``(count, 2)``.

    Equal scores are ranked by class index, so the result never depends on the sorting method.
    """
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    earlier = np.arange(scores.shape[1])[None, :] < truth[:, None]
    rank = ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
    return group_sums(np.stack([np.ones(len(truth)), rank < k], axis=1).astype(np.float64), groups, count)


def sum_moments(truth: Floats, output: Floats, groups: Ints, count: int) -> Floats:
    """Sums of first and second moments by group, ``(count, 9)``, in the order of ``MOMENTS``.

    Both signals are taken about their own mean over the whole sample (kept in ``offset``), so nothing is lost where
    the mean is large beside the spread; a constant signal gives exact zeros.
    """
    centre_truth, centre_output = _centre(truth), _centre(output)
    x, y, error = truth - centre_truth, output - centre_output, output - truth
    offset = np.full(len(truth), centre_output - centre_truth)
    items = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y, np.abs(error), error**2, offset], axis=1)
    return group_sums(items, groups, count)


def _centre(signal: Floats) -> float:
    if not len(signal):
        return 0.0
    return float(signal[0] if np.ptp(signal) == 0 else signal.mean())


class Moments:
    """Means, variances and covariance (population formulas) from the sums of ``sum_moments``, ``(..., 9)``."""

    def __init__(self, sums: Floats) -> None:
        self.n = sums[..., 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / self.n[..., None]
        mean_truth, mean_output = means[..., 1], means[..., 2]
        self.difference = means[..., 8] + mean_output - mean_truth
        self.var_truth = _variance(means[..., 3], mean_truth)
        self.var_output = _variance(means[..., 4], mean_output)
        covariance = means[..., 5] - mean_truth * mean_output
        self.covariance = np.where((self.var_truth == 0) | (self.var_output == 0), 0.0 * covariance, covariance)
        self.absolute_error = means[..., 6]
        self.squared_error = means[..., 7]


def _variance(square: Floats, mean: Floats) -> Floats:
    variance = square - mean * mean
    return np.where(variance <= ROUNDING * square, 0.0 * square, variance)
