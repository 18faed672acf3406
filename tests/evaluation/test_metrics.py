"""Metrics against scikit-learn, SciPy and hand-worked cases; what is undefined is NaN."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from mien.errors import UsageError
from mien.evaluation import metrics as m
from mien.evaluation.intervals import bootstrap, number_units

pairs = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(2)))
)
signals = st.integers(2, 50).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(-1000, 1000), min_size=n, max_size=n) for _ in range(2)))
)


@settings(max_examples=200)
@given(pairs)
def test_class_metrics_equal_scikit_learn(both: tuple[list[int], list[int]]) -> None:
    truth, predicted = both
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert m.uar(truth, predicted) == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
        for average in ("macro", "weighted"):
            expected = sk.f1_score(truth, predicted, average=average, zero_division=0)
            assert m.f1(truth, predicted, average) == pytest.approx(expected)
    assert m.war(truth, predicted) == pytest.approx(sk.accuracy_score(truth, predicted))
    matrix = sk.confusion_matrix(truth, predicted, labels=range(6))
    np.testing.assert_array_equal(m.confusion_matrix(truth, predicted, 6), matrix)


@settings(max_examples=200)
@given(signals)
def test_value_metrics_equal_scipy_and_scikit_learn(both: tuple[list[int], list[int]]) -> None:
    x, y = (np.asarray(signal) / 100 for signal in both)
    assert m.mse(x, y) == pytest.approx(sk.mean_squared_error(x, y), abs=1e-12)
    assert m.rmse(x, y) == pytest.approx(sk.root_mean_squared_error(x, y), abs=1e-9)
    assert m.mae(x, y) == pytest.approx(sk.mean_absolute_error(x, y), abs=1e-12)
    assert m.one_minus_mae(x, y) == pytest.approx(1 - sk.mean_absolute_error(x, y), abs=1e-12)
    if np.ptp(x) == 0:
        assert np.isnan(m.r2(x, y))
    else:
        assert m.r2(x, y) == pytest.approx(sk.r2_score(x, y), rel=1e-9, abs=1e-9)
    if np.ptp(x) and np.ptp(y):
        assert m.pearson(x, y) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-9)
        covariance = np.mean((x - x.mean()) * (y - y.mean()))
        expected = 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert m.ccc(x, y) == pytest.approx(expected, abs=1e-9)
    else:
        assert np.isnan(m.pearson(x, y))


def test_a_hand_worked_case_with_an_absent_and_an_invented_class() -> None:
    """Truth has classes 0 and 1 only; class 2 is predicted once, class 3 never appears."""
    truth, predicted = [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 2]
    assert m.uar(truth, predicted) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert m.war(truth, predicted) == pytest.approx(4 / 6)
    by_class = [2 * 3 / (4 + 3), 2 * 1 / (2 + 2), 0.0]
    assert m.f1(truth, predicted) == pytest.approx(np.mean(by_class))
    assert m.f1(truth, predicted, "weighted") == pytest.approx((4 * by_class[0] + 2 * by_class[1]) / 6)
    np.testing.assert_array_equal(m.per_class_recall(truth, predicted, 4), [0.75, 0.5, np.nan, np.nan])


def test_an_empty_sample_is_nan() -> None:
    for judge in (m.uar, m.war, m.f1, m.ccc, m.pearson, m.mse, m.mae, m.r2):
        assert np.isnan(judge([], []))
    assert m.confusion_matrix([], [], 3).tolist() == [[0] * 3] * 3


def test_wrong_ids_are_refused() -> None:
    with pytest.raises(UsageError, match="must pair up"):
        m.confusion_matrix([0, 1], [0])
    with pytest.raises(UsageError, match=r"must lie in 0\.\.2"):
        m.confusion_matrix([0, 3], [0, 0], 3)
    with pytest.raises(UsageError, match="must lie in"):
        m.confusion_matrix([-100, 1], [0, 0], 3)


@pytest.mark.parametrize(
    ("name", "truth", "output", "line"),
    [
        ("uar", [0, 1], [0, 1], r"uar judges truth \(N,\) and scores \(N, K\); got \(2,\) and \(2,\)"),
        ("uar", [0, 1, 1], [[0.2, 0.8]] * 2, r"got \(3,\) and \(2, 2\)"),
        ("uar", [0, 2], [[0.2, 0.8]] * 2, r"uar: truth must be class ids 0\.\.1"),
        ("uar", [0, 0.5], [[0.2, 0.8]] * 2, r"uar: truth must be class ids 0\.\.1"),
        ("ccc", [0, 1], [0], r"ccc judges truth \(N,\) and values \(N,\); got \(2,\) and \(1,\)"),
        ("ccc", [[0, 1]], [[0, 1]], r"got \(1, 2\) and \(1, 2\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, truth: list, output: list, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        m.metric(name)(truth, output)


def test_an_interval_of_ones_own_arrays_draws_people() -> None:
    rng = np.random.default_rng(0)
    truth, people = rng.integers(0, 2, 60), np.repeat(np.arange(12), 5)
    scores = np.eye(2)[np.where(rng.random(60) < 0.8, truth, 1 - truth)]
    by_person = m.metric("uar").interval(truth, scores, list(people))
    units, count = number_units(list(people), 60)
    expected = bootstrap(m.METRICS["uar"].tally(truth, scores, units, count), m.METRICS["uar"].value, bounds=(0, 1))
    assert by_person == expected
    assert by_person.units == 12
    assert by_person.low < m.metric("uar")(truth, scores) < by_person.high
    assert m.metric("uar").interval(truth, scores).units == 60
    with pytest.raises(UsageError, match="60 items but 12 subjects"):
        m.metric("uar").interval(truth, scores, list(range(12)))
    assert "tally" not in repr(m.metric("uar"))


def test_ccc_of_hand_worked_cases() -> None:
    assert m.ccc([1, 2, 3], [1, 2, 3]) == pytest.approx(1)
    assert m.ccc([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert m.ccc([1, 2, 3], [2, 3, 4]) == pytest.approx((2 * 2 / 3) / (2 / 3 + 2 / 3 + 1))
    assert m.ccc([1, 2, 3], [2, 2, 2]) == 0
    assert m.ccc([2, 2, 2], [1, 1, 1]) == 0
    assert np.isnan(m.ccc([0.1] * 7, [0.1] * 7))


def test_large_means_cost_no_precision() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    y = 0.5 * x + rng.normal(size=1000)
    for judge in (m.ccc, m.pearson, m.mse, m.r2):
        assert judge(x + 1e7, y + 1e7) == pytest.approx(judge(x, y), rel=1e-6)


@settings(max_examples=100)
@given(signals, st.integers(-50, 50), st.sampled_from([0.5, 2.0, -1.0]))
def test_ccc_properties(both: tuple[list[int], list[int]], shift: int, scale: float) -> None:
    x, y = (np.asarray(signal) / 100 for signal in both)
    value = m.ccc(x, y)
    if np.isnan(value):
        assert np.ptp(x) == np.ptp(y) == 0
        return
    assert m.ccc(y, x) == pytest.approx(value, abs=1e-9)
    assert m.ccc(x * scale + shift, y * scale + shift) == pytest.approx(value, abs=1e-7)
    assert abs(value) <= 1 + 1e-12
    if np.ptp(x) and np.ptp(y):
        assert abs(value) <= abs(m.pearson(x, y)) + 1e-9


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_top_k_equals_scikit_learn(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(40, 5))
    truth = np.concatenate([np.arange(5), rng.integers(5, size=35)])
    assert m.top_k(truth, scores, k) == pytest.approx(sk.top_k_accuracy_score(truth, scores, k=k))


def test_top_k_breaks_ties_by_class_and_agrees_with_the_highest_score() -> None:
    assert m.top_k([0], [[0.5, 0.5]], 1) == 1
    assert m.top_k([1], [[0.5, 0.5]], 1) == 0
    assert m.top_k([1], [[0.5, 0.5]], 2) == 1


def test_the_registry_knows_names_and_directions() -> None:
    scores = np.eye(3)[[0, 1, 1, 2]]
    assert m.metric("uar")([0, 1, 2, 2], scores) == pytest.approx(m.uar([0, 1, 2, 2], [0, 1, 1, 2]))
    assert m.metric("war").higher_is_better
    lower = {name for name, entry in m.METRICS.items() if not entry.higher_is_better}
    assert lower == {"mse", "rmse", "mae", "ece", "brier", "log_loss"}
    with pytest.raises(UsageError, match="'uarr' is not known; did you mean uar"):
        m.metric("uarr")
