"""Bootstrap intervals: seeded, by subject, equal to a plain loop, and covering what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.interval_coverage import Corpus, classified, measure, read_over_time
from scipy import stats

from mien.errors import UsageError
from mien.evaluation import metrics as m
from mien.evaluation.intervals import bootstrap, compare, holm, mcnemar, number_units, replicate, spread
from mien.evaluation.tallies import count_hits, count_pairs, sum_moments


def subjects_with_skill(rng: np.random.Generator, subjects: int, clips: int = 14) -> np.ndarray:
    """Confusion counts by subject; people differ in how well they are read."""
    groups = np.repeat(np.arange(subjects), clips)
    truth = np.tile(np.arange(clips) % 7, subjects)
    skill = 1 / (1 + np.exp(-(1.4 + 0.8 * rng.normal(size=subjects))))
    right = rng.random(len(groups)) < skill[groups]
    predicted = np.where(right, truth, rng.integers(7, size=len(groups)))
    return count_pairs(truth, predicted, 7, groups, subjects)


CLASS_METRICS = ["uar", "war", "macro_f1", "weighted_f1", "top_2"]


@pytest.mark.parametrize("name", [*CLASS_METRICS, "ccc", "pearson", "rmse", "mae", "r2"])
def test_sums_of_drawn_subjects_equal_the_metric_of_their_clips(name: str) -> None:
    """A replicate is the metric of the concatenated clips of the drawn subjects, repeats included."""
    rng = np.random.default_rng(0)
    groups = rng.integers(6, size=120)
    metric = m.metric(name)
    if metric.judges == "classes":
        truth, output = rng.integers(4, size=120), rng.normal(size=(120, 4))
    else:
        truth = rng.normal(size=120) + 5
        output = truth * 0.5 + rng.normal(size=120)
    sums = metric.tally(truth, output, groups, 6)
    for _ in range(20):
        drawn = rng.integers(6, size=6)
        items = np.concatenate([np.flatnonzero(groups == unit) for unit in drawn])
        assert metric.value(sums[drawn].sum(axis=0)) == pytest.approx(metric(truth[items], output[items]), rel=1e-9)


def test_same_seed_same_interval_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = subjects_with_skill(np.random.default_rng(1), 12)
    value = m.METRICS["uar"].value
    whole = replicate(sums, value, 300, seed=5)
    assert bootstrap(sums, value, seed=5) == bootstrap(sums, value, seed=5)
    assert bootstrap(sums, value, seed=5) != bootstrap(sums, value, seed=6)
    monkeypatch.setattr("mien.evaluation.intervals.BLOCK", 12 * 7)
    np.testing.assert_array_equal(replicate(sums, value, 300, seed=5), whole)


def test_accuracy_interval_agrees_with_the_normal_one() -> None:
    """1,000 independent clips, 70 % right: the bootstrap must give p ± 1.96 sqrt(p (1 - p) / n)."""
    right = np.arange(1000) < 700
    sums = count_hits(np.where(right, 0, 1), np.tile([1.0, 0.0], (1000, 1)), 1, np.arange(1000), 1000)
    interval = bootstrap(sums, lambda s: s[..., 1] / s[..., 0], replicates=4000)
    half = stats.norm.ppf(0.975) * np.sqrt(0.7 * 0.3 / 1000)
    assert interval.low == pytest.approx(0.7 - half, abs=0.002)
    assert interval.high == pytest.approx(0.7 + half, abs=0.002)
    assert (interval.units, interval.replicates, interval.level) == (1000, 4000, 0.95)


def test_subjects_make_wider_intervals_than_clips() -> None:
    """Every subject is all right or all wrong: clips are copies, and only 20 things were measured."""
    groups = np.repeat(np.arange(20), 50)
    truth = np.zeros(1000, dtype=np.int64)
    predicted = (groups < 6).astype(np.int64)
    value = m.METRICS["war"].value
    by_subject = bootstrap(count_pairs(truth, predicted, 2, groups, 20), value)
    by_clip = bootstrap(count_pairs(truth, predicted, 2, np.arange(1000), 1000), value)
    assert by_subject.high - by_subject.low > 5 * (by_clip.high - by_clip.low)


@pytest.mark.slow
@pytest.mark.parametrize("subjects", [6, 12, 30, 100])
@pytest.mark.parametrize(("name", "corpus"), [("uar", classified), ("ccc", read_over_time)])
def test_intervals_cover_what_they_promise(name: str, corpus: Corpus, subjects: int) -> None:
    """600 corpora whose subjects differ: the 95 % interval holds the true figure in 92 to 98 % of them."""
    held, _ = measure(name, corpus, subjects, repetitions=600, by_clip=False)
    assert 0.92 <= held <= 0.98


def test_interval_is_student_s_for_a_mean() -> None:
    """One clip per subject: the jackknife of a mean is its standard error, and the interval the textbook's."""
    right = np.array([1, 1, 0, 1, 0, 1, 1, 1], dtype=np.float64)
    interval = bootstrap(np.stack([np.ones(8), right], axis=1), lambda s: s[..., 1] / s[..., 0], replicates=4000)
    low, high = stats.t.interval(0.95, 7, right.mean(), stats.sem(right))
    assert interval.low == pytest.approx(low, rel=0.05)
    assert interval.high == pytest.approx(high, rel=0.05)
    inside = bootstrap(np.stack([np.ones(8), right], axis=1), lambda s: s[..., 1] / s[..., 0], bounds=(0, 1))
    assert (inside.low, inside.high) == (pytest.approx(low, rel=0.05), 1.0)


def test_one_unit_of_weight_widens_the_interval() -> None:
    """A subject with half of all clips: without it the figure is another, which few replicates show."""
    sums = np.array([[10.0, 9.0]] * 9 + [[90.0, 9.0]])
    value = lambda s: s[..., 1] / s[..., 0]  # noqa: E731
    without = np.array([value(np.delete(sums, unit, axis=0).sum(axis=0)) for unit in range(10)])
    expected = np.sqrt(9 / 10 * ((without - without.mean()) ** 2).sum())
    assert spread(np.full(10, 0.5), without) == pytest.approx(expected)
    interval = bootstrap(sums, value)
    assert interval.high - interval.low >= 2 * stats.t.ppf(0.975, 9) * expected * (1 - 1e-12)


def test_permutation_equals_all_exchanges() -> None:
    """Five subjects have 32 exchanges, which 2,000 random ones must reproduce."""
    rng = np.random.default_rng(6)
    first, second = (np.stack([np.full(5, 20.0), rng.integers(5, 20, 5)], axis=1).astype(float) for _ in range(2))
    value = lambda s: s[..., 1] / s[..., 0]  # noqa: E731
    gap = abs(value(first.sum(axis=0)) - value(second.sum(axis=0)))
    larger = 0
    for number in range(32):
        swap = (number >> np.arange(5)) % 2 == 1
        one, other = (np.where(swap[:, None], b, a).sum(axis=0) for a, b in ((first, second), (second, first)))
        larger += abs(value(one) - value(other)) >= gap - 1e-12
    assert compare(first, second, value).p_permutation == pytest.approx(larger / 32, abs=0.03)


def test_holm_by_hand() -> None:
    """0.01, 0.02, 0.04 are multiplied by 3, 2, 1 and never fall; a test that was not made takes no part."""
    assert holm([0.04, 0.01, np.nan, 0.02])[:2] == pytest.approx([0.04, 0.03])
    assert holm([0.04, 0.01, np.nan, 0.02])[3] == pytest.approx(0.04)
    assert np.isnan(holm([0.04, 0.01, np.nan, 0.02])[2])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_subject_has_no_interval() -> None:
    sums = subjects_with_skill(np.random.default_rng(0), 1)
    interval = bootstrap(sums, m.METRICS["uar"].value)
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.replicates == 0
    assert np.isnan(compare(sums, sums, m.METRICS["uar"].value).p_value)


def test_undefined_replicates_are_left_out_and_counted() -> None:
    """Two subjects with constant truth each: drawing one of them twice leaves Pearson undefined."""
    truth, output = np.repeat([0.1, 0.7], 10), np.random.default_rng(0).normal(size=20)
    interval = bootstrap(sum_moments(truth, output, np.repeat([0, 1], 10), 2), m.METRICS["pearson"].value, seed=0)
    assert 800 < interval.replicates < 1200
    assert np.isfinite([interval.low, interval.high]).all()


def test_units_are_numbered_by_name() -> None:
    numbers, count = number_units(["s2", "s1", "s2", 3], 4)
    assert count == 3
    assert numbers[0] == numbers[2]
    assert len(set(numbers.tolist())) == 3
    assert number_units(None, 3)[0].tolist() == [0, 1, 2]


def test_mcnemar_by_hand() -> None:
    """Five clips only the first got right, one only the second: p = 2 (C(6,0) + C(6,1)) / 2^6."""
    first = np.array([1] * 5 + [0] + [1] * 10 + [0] * 4, dtype=bool)
    second = np.array([0] * 5 + [1] + [1] * 10 + [0] * 4, dtype=bool)
    result = mcnemar(first, second)
    assert (result.only_first, result.only_second) == (5, 1)
    assert result.p_value == pytest.approx(2 * 7 / 64)
    assert mcnemar(first, first).p_value == 1
    with pytest.raises(UsageError, match="same clips"):
        mcnemar(first, second[1:])


def test_paired_comparison_sees_what_separate_intervals_hide() -> None:
    """The second system loses one clip of every subject: a small difference, but in everyone."""
    rng = np.random.default_rng(4)
    first = subjects_with_skill(rng, 25, clips=21)
    second = first.copy()
    for row in second:
        hit = int(np.argmax(row * np.eye(7).ravel()))
        row[hit] -= 1
        row[hit + 1 if hit % 7 != 6 else hit - 1] += 1
    value = m.METRICS["war"].value
    result = compare(first, second, value)
    assert result.difference == pytest.approx(1 / 21)
    assert result.interval.low == pytest.approx(1 / 21)
    assert result.p_value == result.p_permutation == pytest.approx(1 / 2001)
    intervals = bootstrap(first, value), bootstrap(second, value)
    assert intervals[0].low < intervals[1].high
    same = compare(first, first, value)
    assert (same.difference, same.p_value) == (0, 1)


def test_comparison_needs_the_same_units() -> None:
    sums = subjects_with_skill(np.random.default_rng(0), 5)
    with pytest.raises(UsageError, match="same clips"):
        compare(sums, sums[1:], m.METRICS["uar"].value)
