"""Metrics: plain functions on arrays, and a registry that evaluation, intervals and training share.

What a metric cannot say is NaN, never a comforting 0 or 1: an empty sample, a correlation with a constant signal.
A mean over classes or values that contains a NaN is NaN.

Sources: UAR and WAR as in speech emotion challenges (Schuller et al. 2009); CCC: Lin 1989, population formula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import UsageError, nearest
from mien.evaluation import calibration
from mien.evaluation.intervals import LEVEL, REPLICATES, Interval, bootstrap, number_units
from mien.evaluation.tallies import (
    Floats,
    Ints,
    Moments,
    confusions,
    count_hits,
    count_pairs,
    sum_moments,
)
from mien.plugins import enter, load_plugins

Tally = Callable[[NDArray, Floats, Ints, int], Floats]


@dataclass(frozen=True)
class Metric:
    """A metric as a function of sums over items.

    Attributes:
        name: registered name.
        title: as printed.
        judges: ``classes``: truth is int ``(N,)``, output scores ``(N, K)``, the highest is the prediction;
            ``values``: both are float ``(N,)``, one continuous value.
        higher_is_better: direction.
        tally: ``(truth, output, groups, count)`` → sums by group ``(count, S)``.
        value: sums ``(..., S)`` → metric ``(...)``.
        bounds: lowest and highest possible value.
    """

    name: str
    title: str
    judges: Literal["classes", "values"]
    higher_is_better: bool
    tally: Tally = field(repr=False)
    value: Callable[[Floats], Floats] = field(repr=False)
    bounds: tuple[float, float] = (0.0, 1.0)

    def __call__(self, truth: ArrayLike, output: ArrayLike) -> float:
        """The metric of a whole sample; arguments as ``judges`` says.

        Raises:
            UsageError: the arrays do not pair up or are not what this metric judges.
        """
        truth_, output_ = self._arrays(truth, output)
        everything = np.zeros(len(truth_), dtype=np.int64)
        return float(self.value(self.tally(truth_, output_, everything, 1)[0]))

    def interval(
        self,
        truth: ArrayLike,
        output: ArrayLike,
        subjects: Sequence[object] | None = None,
        level: float = LEVEL,
        replicates: int = REPLICATES,
        seed: int = 0,
    ) -> Interval:
        """Bootstrap interval of the metric (``mien.evaluation.intervals.bootstrap``).

        Args:
            truth, output: as ``judges`` says.
            subjects: whom each item shows, ``(N,)``: whole people are drawn. None: every item is its own.
            level, replicates, seed: of the bootstrap.

        Example:
            >>> metric("uar").interval([0, 1, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], list("aabb"))
        """
        truth_, output_ = self._arrays(truth, output)
        if subjects is not None and len(subjects) != len(truth_):
            raise UsageError(f"{self.name}: {len(truth_)} items but {len(subjects)} subjects; give one for each item")
        units, count = number_units(subjects, len(truth_))
        sums = self.tally(truth_, output_, units, count)
        return bootstrap(sums, self.value, level, replicates, seed, self.bounds)

    def _arrays(self, truth: ArrayLike, output: ArrayLike) -> tuple[NDArray, Floats]:
        """Both as arrays of the right kind and shape."""
        told, output_ = np.asarray(truth), np.asarray(output, dtype=np.float64)
        classes = self.judges == "classes"
        shapes = "truth (N,) and scores (N, K)" if classes else "truth (N,) and values (N,)"
        if told.ndim != 1 or output_.ndim != 1 + classes or len(told) != len(output_):
            raise UsageError(f"{self.name} judges {shapes}; got {told.shape} and {output_.shape}")
        if not classes:
            return told.astype(np.float64), output_
        truth_ = told.astype(np.int64)
        if not np.array_equal(truth_, told) or (len(told) and not 0 <= truth_.min() <= truth_.max() < output_.shape[1]):
            raise UsageError(f"{self.name}: truth must be class ids 0..{output_.shape[1] - 1}, columns of the scores")
        return truth_, output_


# --- classes: from confusion matrices (..., K, K), rows are the truth ---------------------------------------------


def recalls(matrix: Floats) -> Floats:
    """Recall of every class ``(..., K)``; NaN for a class that the truth does not contain."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.diagonal(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=-1)


def _mean_present(values: Floats, present: NDArray[np.bool_]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(present, values, 0.0).sum(axis=-1) / present.sum(axis=-1)


def _uar(matrix: Floats) -> Floats:
    return _mean_present(recalls(matrix), matrix.sum(axis=-1) > 0)


def _war(matrix: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1))


def _f1(matrix: Floats, average: Literal["macro", "weighted"]) -> Floats:
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    support, named = matrix.sum(axis=-1), matrix.sum(axis=-2)
    occurs = support + named > 0
    scores = np.where(occurs, 2 * hits / np.where(occurs, support + named, 1.0), 0.0)
    if average == "macro":
        return _mean_present(scores, occurs)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (scores * support).sum(axis=-1) / support.sum(axis=-1)


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> NDArray[np.int64]:
    """Counts ``(K, K)``, rows are the truth, columns the prediction.

    Args:
        truth, predicted: class ids ``(N,)`` in 0..K-1.
        classes: K; by default one more than the highest id.

    Raises:
        UsageError: lengths differ or an id lies outside 0..K-1.
    """
    truth_, predicted_ = (np.asarray(ids, dtype=np.int64).ravel() for ids in (truth, predicted))
    if len(truth_) != len(predicted_):
        raise UsageError(f"{len(truth_)} true and {len(predicted_)} predicted classes; they must pair up")
    both = np.concatenate([truth_, predicted_])
    classes = int(both.max(initial=-1)) + 1 if classes is None else classes
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise UsageError(f"class ids {both.min()}..{both.max()} must lie in 0..{classes - 1}")
    pairs = count_pairs(truth_, predicted_, classes, np.zeros(len(truth_), dtype=np.int64), 1)
    return pairs.reshape(classes, classes).astype(np.int64)


def uar(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Unweighted average recall: mean of the recalls of the classes that occur in the truth.

    A class that is predicted but never true adds no recall (it lowers the others' instead). Equals
    scikit-learn's ``balanced_accuracy_score``.
    """
    return float(_uar(confusion_matrix(truth, predicted).astype(np.float64)))


def war(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Weighted average recall: the share of items that are right (accuracy, and micro F1)."""
    return float(_war(confusion_matrix(truth, predicted).astype(np.float64)))


def f1(truth: ArrayLike, predicted: ArrayLike, average: Literal["macro", "weighted"] = "macro") -> float:
    """F1 = 2 TP / (2 TP + FP + FN) over classes.

    ``macro``: plain mean over the classes that occur in truth or prediction; ``weighted``: by their number in the
    truth. Equals scikit-learn's ``f1_score`` with ``zero_division=0``.
    """
    return float(_f1(confusion_matrix(truth, predicted).astype(np.float64), average))


def per_class_recall(truth: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> Floats:
    """Recall of every class ``(K,)``; NaN for classes that do not occur in the truth."""
    return recalls(confusion_matrix(truth, predicted, classes).astype(np.float64))


def _mean(sums: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 1] / sums[..., 0]


def top_k(truth: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Share of items whose true class is among the k highest of ``scores (N, K)``; ties go to the lower class id."""
    return _classes(f"top_{k}", f"top-{k}", partial(_count_hits, k=k), _mean)(truth, scores)


# --- values: from moments ------------------------------------------------------------------------------------------


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def _ccc(sums: Floats) -> Floats:
    m = Moments(sums)
    return _ratio(2 * m.covariance, m.var_truth + m.var_output + m.difference**2)


def _pearson(sums: Floats) -> Floats:
    m = Moments(sums)
    return np.clip(_ratio(m.covariance, np.sqrt(m.var_truth) * np.sqrt(m.var_output)), -1.0, 1.0)


def _mse(sums: Floats) -> Floats:
    return Moments(sums).squared_error


def _rmse(sums: Floats) -> Floats:
    return np.sqrt(_mse(sums))


def _mae(sums: Floats) -> Floats:
    return Moments(sums).absolute_error


def _accuracy(sums: Floats) -> Floats:
    return 1.0 - _mae(sums)


def _r2(sums: Floats) -> Floats:
    m = Moments(sums)
    return 1.0 - _ratio(m.squared_error, m.var_truth)


def ccc(truth: ArrayLike, output: ArrayLike) -> float:
    """Concordance correlation coefficient ``2 cov / (var_x + var_y + (m_x - m_y)^2)``, all divided by n.

    One constant signal gives 0; two equal constants leave nothing to agree on: NaN.
    """
    return metric("ccc")(truth, output)


def pearson(truth: ArrayLike, output: ArrayLike) -> float:
    """Pearson correlation; NaN where a signal is constant (as SciPy)."""
    return metric("pearson")(truth, output)


def mse(truth: ArrayLike, output: ArrayLike) -> float:
    """Mean squared error."""
    return metric("mse")(truth, output)


def rmse(truth: ArrayLike, output: ArrayLike) -> float:
    """Root of the mean squared error."""
    return metric("rmse")(truth, output)


def mae(truth: ArrayLike, output: ArrayLike) -> float:
    """Mean absolute error."""
    return metric("mae")(truth, output)


def one_minus_mae(truth: ArrayLike, output: ArrayLike) -> float:
    """1 - mean absolute error: the "accuracy" of trait challenges, whose values lie in 0..1."""
    return metric("one_minus_mae")(truth, output)


def r2(truth: ArrayLike, output: ArrayLike) -> float:
    """Share of variance explained, ``1 - MSE / var_truth``; NaN where the truth is constant."""
    return metric("r2")(truth, output)


# --- registry ------------------------------------------------------------------------------------------------------


def _count_pairs(truth: NDArray, scores: Floats, groups: Ints, count: int) -> Floats:
    return count_pairs(truth, scores.argmax(axis=1), scores.shape[1], groups, count)


def _count_hits(truth: NDArray, scores: Floats, groups: Ints, count: int, k: int) -> Floats:
    return count_hits(truth, scores, k, groups, count)


def _classes(name: str, title: str, tally: Tally, value: Callable[[Floats], Floats]) -> Metric:
    return Metric(name, title, "classes", True, tally, value)


def _lower(name: str, title: str, tally: Tally, value: Callable[[Floats], Floats], highest: float) -> Metric:
    return Metric(name, title, "classes", False, tally, value, (0.0, highest))


def _of_matrix(name: str, title: str, value: Callable[[Floats], Floats]) -> Metric:
    return _classes(name, title, _count_pairs, lambda sums: value(confusions(sums)))


def _values(name: str, title: str, value: Callable[[Floats], Floats], bounds: tuple[float, float]) -> Metric:
    return Metric(name, title, "values", bounds[1] <= 1, sum_moments, value, bounds)


_SIGNED, _ERROR, _BELOW_ONE = (-1.0, 1.0), (0.0, np.inf), (-np.inf, 1.0)


METRICS: dict[str, Metric] = {
    entry.name: entry
    for entry in (
        _of_matrix("uar", "UAR", _uar),
        _of_matrix("war", "WAR", _war),
        _of_matrix("macro_f1", "macro F1", partial(_f1, average="macro")),
        _of_matrix("weighted_f1", "weighted F1", partial(_f1, average="weighted")),
        _classes("top_2", "top-2", partial(_count_hits, k=2), _mean),
        _classes("top_3", "top-3", partial(_count_hits, k=3), _mean),
        _classes("top_5", "top-5", partial(_count_hits, k=5), _mean),
        _lower("ece", "calibration error (ECE)", calibration.count_confidence, calibration.calibration_error, 1.0),
        _lower("brier", "Brier score", calibration.count_brier, _mean, 2.0),
        _lower("log_loss", "log loss", calibration.count_surprise, _mean, np.inf),
        _classes("doubt_auc", "doubt finds mistakes", calibration.count_doubt, calibration.doubt_finds_mistakes),
        _values("ccc", "CCC", _ccc, _SIGNED),
        _values("pearson", "Pearson r", _pearson, _SIGNED),
        _values("mse", "MSE", _mse, _ERROR),
        _values("rmse", "RMSE", _rmse, _ERROR),
        _values("mae", "MAE", _mae, _ERROR),
        _values("one_minus_mae", "1 - MAE", _accuracy, _BELOW_ONE),
        _values("r2", "R²", _r2, _BELOW_ONE),
    )
}


# What classification is judged by beside the task's own metrics, where outputs are probabilities.
CALIBRATION = ("ece", "brier", "log_loss", "doubt_auc")


def register_metric(entry: Metric) -> Metric:
    """Register a metric under its name; ``mien.plugins`` says how metrics of other packages are found.

    Raises:
        UsageError: another metric has the name.
    """
    enter(METRICS, entry.name, entry, "metric", entry.value)
    return entry


def metric(name: str) -> Metric:
    """A registered metric; raises ``UsageError`` naming near ones."""
    if name not in METRICS:
        load_plugins()
    if name not in METRICS:
        raise UsageError(f"metric {name!r} is not known; {nearest(name, METRICS, most=3)}")
    return METRICS[name]
