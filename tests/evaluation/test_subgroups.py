"""Groups: each is judged as if alone, gaps are those of the figures, planted gaps are found and chance is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation import metrics as m
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.subgroups import by_subgroup, subgroup_columns, subgroups_of
from mien.models.specification import TaskConfig
from mien.tasks import create_task

CLASSES = create_task(TaskConfig(kind="classification", outputs=("a", "b", "c")))
VALUES = create_task(TaskConfig(kind="dimensions", outputs=("valence", "arousal")))


def said(skills: np.ndarray, seed: int = 0) -> Predictions:
    """One clip per entry, right with that probability."""
    rng = np.random.default_rng(seed)
    clips = []
    for number, skill in enumerate(skills):
        truth = number % 3
        guess = truth if rng.random() < skill else (truth + 1 + rng.integers(2)) % 3
        clips.append(ClipPrediction(f"{number:04d}", np.eye(3)[[guess]], np.array([truth]), np.full(1, np.nan), 1))
    return Predictions(tuple(clips))


def test_a_group_is_judged_as_if_alone_and_a_gap_is_to_all_others() -> None:
    people = np.repeat(np.arange(20), 12)
    gender = ["f" if person % 2 else "m" for person in people]
    language = [("de", "en", "zh")[number // 12 % 3] if number != 7 else None for number in range(240)]
    predictions = said(np.full(240, 0.7))
    truth, guess = predictions.truth, predictions.output.argmax(axis=1)
    subjects = [f"s{person}" for person in people]
    scores = by_subgroup(CLASSES, predictions, {"gender": gender, "language": language}, subjects, replicates=300)
    found = {(one.column, one.group, one.score.name): one for one in scores}
    for column, names in (("gender", gender), ("language", language)):
        for group in set(names) - {None}:
            inside = np.array([name == group for name in names])
            outside = np.array([name is not None and name != group for name in names])
            one = found[column, group, "uar"]
            assert one.score.value == pytest.approx(m.uar(truth[inside], guess[inside]))
            assert one.clips == inside.sum()
            if one.gap:
                expected = m.uar(truth[inside], guess[inside]) - m.uar(truth[outside], guess[outside])
                assert one.gap.difference == pytest.approx(expected)
                assert one.gap.interval.low < expected < one.gap.interval.high
    assert found["gender", "f", "uar"].subjects == 10
    assert found["gender", "m", "uar"].gap is None
    tests = [one.gap for one in scores if one.gap and one.score.name == "uar"]
    assert len(tests) == 4
    assert min(gap.p_holm for gap in tests) == pytest.approx(min(1, 4 * min(gap.p_value for gap in tests)))


def test_a_planted_gap_is_found_and_chance_is_not() -> None:
    people = np.repeat(np.arange(40), 15)
    group = np.where(people % 4 == 0, "few", "many")
    subjects = [str(person) for person in people]

    def p_value(gap: float, seed: int) -> float:
        rng = np.random.default_rng(seed)
        skill = 0.75 + 0.1 * rng.normal(size=40)[people] - gap * (group == "few")
        scores = by_subgroup(CLASSES, said(skill, seed), {"g": list(group)}, subjects, replicates=200)
        (one,) = [score.gap for score in scores if score.score.name == "war" and score.gap]
        return one.p_value

    assert all(p_value(0.3, seed) < 0.01 for seed in range(3))
    chance = np.array([p_value(0.0, seed) for seed in range(60)])
    assert (chance < 0.05).mean() < 0.15
    assert 0.3 < np.median(chance) < 0.7


def test_groups_within_people_are_compared_within_people() -> None:
    """Everyone speaks both languages and is read worse in one: people differ widely, the gap does not."""
    people = np.repeat(np.arange(12), 60)
    language = np.where(np.arange(720) // 30 % 2, "zh", "de")
    skill = np.linspace(0.45, 0.95, 12)[people] - 0.12 * (language == "zh")
    scores = by_subgroup(CLASSES, said(skill), {"language": list(language)}, [str(p) for p in people], replicates=300)
    war = next(one for one in scores if one.score.name == "war")
    assert war.gap is not None
    assert war.gap.interval.high - war.gap.interval.low < war.score.interval.high - war.score.interval.low
    assert war.gap.p_value < 0.05


def test_values_are_grouped_by_their_mean() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 2))
    output = 0.7 * truth + 0.4 * rng.normal(size=(60, 2))
    clips = [ClipPrediction(f"{n:02d}", output[[n]], truth[[n]], np.full(1, np.nan), 1) for n in range(60)]
    names = ["x" if n % 2 else "y" for n in range(60)]
    scores = by_subgroup(VALUES, Predictions(tuple(clips)), {"g": names}, None, replicates=200)
    inside = np.arange(60) % 2 == 1
    one = next(one for one in scores if (one.group, one.score.name) == ("x", "ccc"))
    assert one.score.value == pytest.approx(np.mean([m.ccc(truth[inside, k], output[inside, k]) for k in range(2)]))
    assert not any("/" in one.score.name for one in scores)


def test_columns_and_bands() -> None:
    ages = [19, 25, 31, 38, None, 70]
    frame = pd.DataFrame(
        {"path": [f"{n}.mp4" for n in range(6)], "age": ages, "gender": ["f"] * 6, "site": list("aabbcc")}
    )
    table = Manifest(frame, "/nowhere")
    assert subgroup_columns(table) == ("age",)
    assert subgroup_columns(table, ["site"]) == ("site", "age")
    bands = subgroups_of(table, table.ids, ["age"])["age"]
    assert bands == ["10–19", "20–29", "30–39", "30–39", None, "70–79"]
    with pytest.raises(UsageError, match="gender has 1 groups; name a column with 2 to 12"):
        subgroup_columns(table, ["gender"])
    with pytest.raises(UsageError, match="no column 'city'"):
        subgroup_columns(table, ["city"])
