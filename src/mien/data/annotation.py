"""Annotation over time: a CSV of ``time`` and one column per output, read onto the times of frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.data.tables import read_table, write_table
from mien.data.targets import TargetSpec, class_indices
from mien.errors import MienError, UsageError
from mien.media import HeldFile

UNLABELLED = -100
MAX_GAP = 1.0


def read_annotation(path: Path | HeldFile, columns: Sequence[str]) -> pd.DataFrame:
    """Annotation file sorted by time: ``time`` in seconds on the clock of the clip's file, then ``columns``.

    Raises:
        UsageError: the file or a column is missing, or a time is not a number or occurs twice.
    """
    return _read(path, tuple(columns)).copy()


@lru_cache(maxsize=256)
def _read(path: Path | HeldFile, columns: tuple[str, ...]) -> pd.DataFrame:
    table = read_table(path, wanted="time")
    missing = [column for column in columns if column not in table]
    if missing:
        raise UsageError(
            f"{path}: no column {missing[0]!r} (found: {', '.join(map(str, table.columns))}); "
            "label files need 'time' and a column per output"
        )
    times = pd.to_numeric(table["time"], errors="coerce")
    if not np.isfinite(times).all():
        bad = table["time"][~np.isfinite(times)].iloc[0]
        raise UsageError(f"{path}: time {bad!r} is not a number of seconds")
    if times.duplicated().any():
        raise UsageError(f"{path}: time {times[times.duplicated()].iloc[0]:g} occurs twice; keep one row for each time")
    table = table.assign(time=times.astype("float64")).sort_values("time", ignore_index=True)
    return table[["time", *columns]]


def frame_targets(
    path: Path | HeldFile, spec: TargetSpec, times: NDArray[np.float64]
) -> NDArray[np.int64] | NDArray[np.float32]:
    """Targets at the times of frames.

    Values are interpolated linearly between neighbouring annotations; classes are those of the nearest annotation.
    A frame is unlabelled where it lies more than one annotation step outside the annotated stretch, in a gap longer
    than a second (or than 1.5 steps of a sparser annotation), or next to an empty value.

    Args:
        path: the label file.
        spec: columns to read, with classes or without.
        times: ``(T,)`` seconds of all frames of the clip, on the clock of its file.

    Returns:
        float32 ``(T, K)`` with NaN, or int64 ``(T,)`` with -100, where unlabelled.

    Raises:
        UsageError: as ``read_annotation``, or a value that is no number or none of the classes.
        MienError: no frame at all is labelled.
    """
    table = read_annotation(path, spec.columns)
    at = table["time"].to_numpy()
    if spec.classes is not None:
        return _classes_at(table, spec, at, times, path)
    values = np.stack([_floats(table[column], path) for column in spec.columns], axis=1)
    left, right, weight = _neighbours(at, times)
    result = (1 - weight)[:, None] * values[left] + weight[:, None] * values[right]
    # An exact hit needs no neighbour: an empty value next to it must not blank it.
    result = np.where((weight == 0)[:, None], values[left], np.where((weight == 1)[:, None], values[right], result))
    result[~_covered(at, times)] = np.nan
    if np.isnan(result).all():
        raise MienError(f"{path}: nothing is annotated between {times.min():.2f} and {times.max():.2f} s of the clip")
    return result.astype(np.float32)


def write_shifted(path: Path, start: float, end: float, target: Path) -> None:
    """Write the annotation of a stretch with its times counted from ``start``: the label file of a cut-out clip.

    One annotation beyond each end is kept, so that the first and last frames have neighbours to interpolate between.
    """
    table = read_table(path, wanted="time")
    table = read_annotation(path, [str(column) for column in table.columns if column != "time"])
    times = table["time"].to_numpy()
    first = max(int(np.searchsorted(times, start, side="right")) - 1, 0)
    last = min(int(np.searchsorted(times, end, side="left")), len(times) - 1)
    cut = table.iloc[first : last + 1]
    write_table(cut.assign(time=(cut["time"] - start).round(6)), target)


def _classes_at(
    table: pd.DataFrame, spec: TargetSpec, at: NDArray[np.float64], times: NDArray[np.float64], path: Path | HeldFile
) -> NDArray[np.int64]:
    assert spec.classes is not None
    values = table.set_index("time")[spec.columns[0]]
    codes = np.full(len(values), UNLABELLED, dtype=np.int64)
    given = values.notna().to_numpy()
    codes[given] = class_indices(values[given], spec.classes, lambda time: f"{path}: time {time:g}")
    left, right, weight = _neighbours(at, times)
    result = codes[np.where(weight < 0.5, left, right)]
    result[~_covered(at, times)] = UNLABELLED
    if (result == UNLABELLED).all():
        raise MienError(f"{path}: nothing is annotated between {times.min():.2f} and {times.max():.2f} s of the clip")
    return result


def _neighbours(
    at: NDArray[np.float64], times: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Indices of the annotations around each time and the weight of the later one, 0..1."""
    right = np.clip(np.searchsorted(at, times, side="right"), 0, len(at) - 1)
    left = np.clip(right - 1, 0, None)
    width = at[right] - at[left]
    weight = np.divide(times - at[left], width, out=np.zeros_like(times), where=width > 0)
    return left, right, np.clip(weight, 0.0, 1.0)


def _covered(at: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    step = float(np.median(np.diff(at))) if len(at) > 1 else MAX_GAP
    inside = (times >= at[0] - step) & (times <= at[-1] + step)
    right = np.clip(np.searchsorted(at, times, side="left"), 0, len(at) - 1)
    left = np.clip(np.searchsorted(at, times, side="right") - 1, 0, None)
    covered: NDArray[np.bool_] = inside & (at[right] - at[left] <= max(MAX_GAP, 1.5 * step))
    return covered


def _floats(values: pd.Series, path: Path | HeldFile) -> NDArray[np.float64]:
    numbers = pd.to_numeric(values, errors="coerce")
    bad = values.notna() & ~np.isfinite(numbers)
    if bad.any():
        raise UsageError(f"{path}: {values.name} = {values[bad].iloc[0]!r} is not a number; leave unknown values empty")
    return numbers.to_numpy(dtype=np.float64)
