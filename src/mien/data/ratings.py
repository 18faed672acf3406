"""What annotators said over time: files of one or several of them, brought together to one course per value."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.errors import UsageError

Estimator = Literal["mean", "evaluator_weighted"]
BINNED_FIELDS = 22
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """One value over time.

    Attributes:
        times: ``(T,)`` seconds, ascending.
        values: ``(T, A)``, a column per annotator; NaN where one said nothing.
    """

    times: Floats
    values: Floats


def read_ratings(path: Path, fps: float | None = None) -> Ratings:
    """A table of times and annotators; separated by commas, semicolons or tabs, with a header or without.

    Known forms: the binned rows of SS-VAERR (time, 20 flags, value), whose flags are passed over; otherwise a first
    column that is a number on every row and is the time, then one column per annotator. Columns of words are left out.

    Args:
        path: the file.
        fps: frames per second, for files whose times are whole numbers that count frames (0, 1, 2, ...).

    Raises:
        UsageError: the file is missing, holds no numbers, or its times do not ascend, or count frames without ``fps``.
    """
    table = _numbers(path)
    if table.shape[1] == BINNED_FIELDS and set(np.unique(table[:, 1:-1])) <= {0.0, 1.0}:
        table = table[:, [0, -1]]
    if table.shape[1] < 2 or np.isnan(table[:, 0]).any():
        raise UsageError(f"{path}: holds no time and values; give rows of a time in seconds and a value per annotator")
    times = table[:, 0]
    if (np.diff(times) <= 0).any():
        at = float(times[1:][np.diff(times) <= 0][0])
        raise UsageError(f"{path}: time {at:g} comes after a later or an equal one; sort the rows, one for each time")
    if len(times) > 2 and np.array_equal(times, np.arange(len(times)) + times[0]):
        if fps is None:
            raise UsageError(f"{path}: times count frames (0, 1, 2, ...); say how many there are in a second (fps)")
        times = times / fps
    return Ratings(times, table[:, 1:])


def _numbers(path: Path) -> Floats:
    """Rows of the file as numbers, without a header and without columns of words; empty cells are NaN."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a table ({error})") from None
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    cells = [[_number(cell) for cell in row] for row in rows]
    if cells and None in cells[0]:
        # a header, or a column of words
        body = cells[1:]
        if (body and all(cell is None for cell in cells[0])) or (body and not any(None in row for row in body)):
            cells = body
    width = min((len(row) for row in cells), default=0)
    kept = [column for column in range(width) if not all(row[column] is None for row in cells)]
    bad = [row for row in cells if any(row[column] is None for column in kept)]
    if not cells or not kept or bad:
        raise UsageError(f"{path}: holds something that is no number; leave unknown values empty")
    return np.array([[row[column] for column in kept] for row in cells], dtype=np.float64)


def _number(cell: str) -> float | None:
    cell = cell.strip()
    if not cell or cell.lower() == "nan":
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return None


def gather(files: list[Path], fps: float | None = None) -> Ratings:
    """Several files of the same recording, an annotator or more each, at the times of the first of them."""
    parts = [read_ratings(file, fps) for file in files]
    times = parts[0].times
    columns = [resample(part.times, column, times) for part in parts for column in part.values.T]
    return Ratings(times, np.stack(columns, axis=1))


def resample(times: Floats, values: Floats, at: Floats) -> Floats:
    """Values ``(T,)`` at other moments, in straight lines; NaN outside, and beside what is unknown."""
    known = ~np.isnan(values)
    if not known.any():
        return np.full(len(at), np.nan)
    result = np.interp(at, times[known], values[known], left=np.nan, right=np.nan)
    gap = np.interp(at, times, (~known).astype(float), left=0.0, right=0.0) > 0
    return np.where(gap, np.nan, result)


def combine(values: Floats, estimator: Estimator = "mean") -> Floats:
    """One course ``(T,)`` out of those of annotators ``(T, A)``; unknown values take no part.

    ``evaluator_weighted`` (after Grimm and Kroschel 2005) weighs an annotator by the correlation with the mean of the
    others, so that nobody agrees with oneself, and not at all where that is negative; where nobody agrees with
    anybody all count the same.
    """
    weights = np.ones(values.shape[1])
    if estimator == "evaluator_weighted" and values.shape[1] > 1:
        agreement = np.array([_agreement(values, one) for one in range(values.shape[1])])
        if (agreement > 0).any():
            weights = np.clip(agreement, 0.0, None)
    shared = np.where(np.isnan(values), 0.0, weights)
    total = shared.sum(axis=1)
    return np.divide(
        (np.nan_to_num(values) * shared).sum(axis=1), total, out=np.full(len(values), np.nan), where=total > 0
    )


def _agreement(values: Floats, one: int) -> float:
    others = np.delete(values, one, axis=1)
    count = (~np.isnan(others)).sum(axis=1)
    both = (count > 0) & ~np.isnan(values[:, one])
    mean = np.nansum(others[both], axis=1) / count[both]
    mine = values[both, one]
    if len(mine) < 2 or mine.std() == 0 or mean.std() == 0:
        return 0.0
    return float(np.corrcoef(mine, mean)[0, 1])


def course_table(courses: Mapping[str, Ratings], estimator: Estimator = "mean", delay: float = 0.0) -> pd.DataFrame:
    """Values of several annotators each as the label file that mien trains on.

    Args:
        courses: ratings by value; each may have times of its own.
        estimator: how annotators are brought together.
        delay: seconds by which they answered late.

    Returns:
        ``time`` in seconds, and a column per value at the times of the first one; nothing before 0 s.
    """
    lines = {}
    for value, ratings in courses.items():
        moved = undelayed(ratings, delay)
        lines[value] = (moved.times, combine(moved.values, estimator))
    times = next(iter(lines.values()))[0]
    table = pd.DataFrame({"time": times} | {value: resample(*line, times) for value, line in lines.items()})
    return table[table["time"] >= 0].round(6)


def undelayed(ratings: Ratings, delay: float) -> Ratings:
    """Annotators answer late: what they said at t belongs to the picture at ``t - delay`` seconds."""
    return Ratings(ratings.times - delay, ratings.values)
