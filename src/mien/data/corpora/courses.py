"""Annotation over time of a corpus → the label files that mien trains on."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.corpora.contract import Choice, Courses
from mien.data.corpora.texts import read_lines
from mien.data.ratings import Estimator, Ratings, course_table, gather, read_ratings
from mien.errors import UsageError

# What every corpus with annotation over time lets choose.
CHOICES = (
    Choice("estimator", ("mean", "evaluator_weighted"), "how several annotators are brought together"),
    Choice("delay", (), "seconds by which annotators lag behind what they saw", "0"),
    Choice("fps", (), "frames per second, where annotations count frames"),
)


def label_table(courses: Courses, choices: Mapping[str, str]) -> pd.DataFrame:
    """``time`` in seconds and a column per value, at the times of the first value's first annotator.

    Raises:
        UsageError: ``delay`` or ``fps`` is no number, or an annotation is not what it should be.
    """
    delay, fps = _number(choices, "delay") or 0.0, _number(choices, "fps")
    estimator: Estimator = "evaluator_weighted" if choices.get("estimator") == "evaluator_weighted" else "mean"
    return course_table({value: read(fps) for value, read in courses.items()}, estimator, delay)


def of_files(files: list[Path], fps: float | None) -> Ratings:
    """One value, an annotator or more in each file."""
    return gather(files, fps)


def of_column(file: Path, column: int, fps: float | None) -> Ratings:
    """One value, in a column (from 0, after name and time) of a table with several values."""
    ratings = read_ratings(file, fps)
    if column >= ratings.values.shape[1]:
        raise UsageError(f"{file}: has {ratings.values.shape[1]} values in a row; value {column + 1} is missing")
    return Ratings(ratings.times, ratings.values[:, column : column + 1])


def of_arff(file: Path, fps: float | None) -> Ratings:
    """Gold standard of the AVEC challenges: rows ``dev_1,0.04,-0.022925`` after ``@data``."""
    lines = read_lines(file)
    start = next((at for at, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    try:
        if start is None:
            raise ValueError("no @data")
        rows = [(float(row[-2]), float(row[-1])) for row in csv.reader(lines[start + 1 :])]
        table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    except (ValueError, IndexError) as error:
        raise UsageError(f"{file}: not a gold standard of name, time and value ({error})") from None
    return Ratings(table[:, 0], table[:, 1:])


def in_files(files: Mapping[str, list[Path]]) -> Courses:
    """A reader per value."""
    return {value: partial(of_files, list(own)) for value, own in files.items()}


def _number(choices: Mapping[str, str], name: str) -> float | None:
    text = choices.get(name, "")
    try:
        return float(text) if text else None
    except ValueError:
        raise UsageError(f"{name}={text!r} is not a number") from None
