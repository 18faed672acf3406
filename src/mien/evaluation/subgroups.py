"""Figures for groups of people or clips (gender, age band, skin tone, language, corpus), and the gaps between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation.intervals import LEVEL, REPLICATES, Interval, bootstrap, contrast, holm, number_units
from mien.evaluation.predictions import Predictions
from mien.evaluation.scores import Judgement, Score, judge
from mien.evaluation.tallies import Floats, Ints
from mien.tasks import Task

# Columns that are judged by group without being asked for.
KNOWN = (
    "gender",
    "sex",
    "age",
    "age_band",
    "age_group",
    "skin_tone",
    "ethnicity",
    "race",
    "country",
    "language",
    "corpus",
)
MOST_GROUPS = 12
BAND = 10


@dataclass(frozen=True)
class Gap:
    """A group against everybody else.

    Attributes:
        difference: metric of the group - metric of the others.
        interval: of the difference, by subject.
        p_value: two-sided, of no difference; Student's t with the smaller number of subjects - 1.
        p_holm: corrected for the number of gaps of this metric over all columns.
    """

    difference: float
    interval: Interval
    p_value: float
    p_holm: float = np.nan


@dataclass(frozen=True)
class GroupScore:
    """One metric of one group.

    Attributes:
        column, group: which.
        clips, subjects: how many clips were scored, of how many people (or clips, where people are unknown).
        score: the metric with its interval.
        gap: to all others; None where it is said already: the second of two groups.
    """

    column: str
    group: str
    clips: int
    subjects: int
    score: Score
    gap: Gap | None


def subgroup_columns(manifest: Manifest, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns to group by: those asked for and the well-known ones that hold 2 to 12 groups.

    Raises:
        UsageError: a column that was asked for is not there, or holds one group or too many.
    """
    for column in asked:
        count = len(set(_named(manifest.column(column), column)) - {None})
        if not 2 <= count <= MOST_GROUPS:
            raise UsageError(f"{manifest.name}: {column} has {count} groups; name a column with 2 to {MOST_GROUPS}")
    known = [column for column in KNOWN if manifest.has(column) and column not in asked]
    fitting = [
        column for column in known if 2 <= len(set(_named(manifest.column(column), column)) - {None}) <= MOST_GROUPS
    ]
    return (*asked, *fitting)


def subgroups_of(manifest: Manifest, ids: Sequence[str], columns: Sequence[str]) -> dict[str, list[str | None]]:
    """Group of every clip by column; None where it is unknown. Ages and other fine numbers become bands of ten."""
    every = {
        column: dict(zip(manifest.ids, _named(manifest.column(column), column), strict=True)) for column in columns
    }
    return {column: [names[id_] for id_ in ids] for column, names in every.items()}


def _named(values: pd.Series, column: str) -> list[str | None]:
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().sum() == values.notna().sum() and (column == "age" or numbers.nunique() > MOST_GROUPS):
        bands = numbers // BAND * BAND
        return [None if pd.isna(low) else f"{low:.0f}–{low + BAND - 1:.0f}" for low in bands]
    return [None if pd.isna(value) else str(value) for value in values]


def by_subgroup(
    task: Task,
    predictions: Predictions,
    groups: Mapping[str, Sequence[str | None]],
    subjects: Sequence[str] | None,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> tuple[GroupScore, ...]:
    """The task's metrics (their means where there are several outputs) for every group.

    Args:
        groups: by column, the group of every clip in the order of ``predictions.clips``.
        subjects: of every clip; None: clips are the units.
        level, replicates, seed: of the bootstrap.
    """
    people = list(subjects) if subjects is not None else predictions.ids
    scores: list[GroupScore] = []
    for column, names in groups.items():
        known = [number for number, name in enumerate(names) if name is not None]
        if len({names[number] for number in known}) < 2:
            continue
        cells = _Cells([people[number] for number in known], [str(names[number]) for number in known])
        part = Predictions(tuple(predictions.clips[number] for number in known))
        for one in judge(task, part, subjects=cells.names):
            if "/" not in one.name and not one.name.endswith("_per_video"):
                scores += _scores(column, one, cells, level, replicates, seed)
    return _corrected(scores)


class _Cells:
    """Clips by subject and group: sums by cell add up to those of any group and of all others."""

    def __init__(self, people: list[str], groups: list[str]) -> None:
        self.names = [f"{person}\n{group}" for person, group in zip(people, groups, strict=True)]
        cells, count = number_units(self.names, len(people))
        people_numbers, self.people = number_units(people, len(people))
        self.person: Ints = np.zeros(count, dtype=np.int64)
        self.person[cells] = people_numbers
        self.group = np.empty(count, dtype=object)
        self.group[cells] = groups
        self.clips = {group: groups.count(group) for group in sorted(set(groups))}

    def split(self, sums: Floats, group: str) -> Floats:
        """Sums by person ``(C, 2 S)``: inside the group, beside those outside."""
        both = np.zeros((self.people, 2, sums.shape[1]))
        np.add.at(both, (self.person, (self.group != group).astype(np.int64)), sums)
        return both.reshape(self.people, -1)


def _scores(column: str, one: Judgement, cells: _Cells, level: float, replicates: int, seed: int) -> list[GroupScore]:
    found = []
    for number, (group, clips) in enumerate(cells.clips.items()):
        own = one.sums[cells.group == group]
        interval = bootstrap(own, one.value, level, replicates, seed, one.bounds)
        point = float(one.value(own.sum(axis=0)))
        score = Score(one.name, one.title, one.higher_is_better, point, clips, "clips", interval)
        gap = None
        if len(cells.clips) > 2 or number == 0:
            others = len(set(cells.person[cells.group != group].tolist()))
            gap = _gap(cells.split(one.sums, group), one, min(len(own), others) - 1, level, replicates, seed)
        found.append(GroupScore(column, group, clips, len(own), score, gap))
    return found


def _gap(both: Floats, one: Judgement, freedom: int, level: float, replicates: int, seed: int) -> Gap:
    inside, outside = np.split(both.sum(axis=0), 2)
    interval, p_value = contrast(both, one.value, level, replicates, seed, freedom)
    return Gap(float(one.value(inside) - one.value(outside)), interval, p_value)


def _corrected(scores: list[GroupScore]) -> tuple[GroupScore, ...]:
    """The same with Holm's correction over all gaps of a metric."""
    out = list(scores)
    for name in dict.fromkeys(score.score.name for score in scores):
        at = [number for number, score in enumerate(scores) if score.score.name == name and score.gap is not None]
        gaps = [scores[number].gap for number in at]
        for number, gap, p_holm in zip(at, gaps, holm([gap.p_value for gap in gaps if gap]), strict=True):
            assert gap is not None
            out[number] = replace(scores[number], gap=replace(gap, p_holm=p_holm))
    return tuple(out)
