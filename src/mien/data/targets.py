"""Targets of clips: columns of the manifest as class indices or values, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.data.manifest import Manifest
from mien.errors import UsageError

Place = Callable[[Any], str]  # where the row with a label stands, for messages


@dataclass(frozen=True)
class TargetSpec:
    """Which columns hold the truth and how they are read.

    Attributes:
        columns: of the manifest (``level="clip"``) or of the label files (``level="frame"``).
        classes: class names in index order; the single column then holds names or indices. None: numbers.
        level: one target per clip, or one per frame from the row's label file.
    """

    columns: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    level: str = "clip"

    def __post_init__(self) -> None:
        if self.classes is not None and len(self.columns) != 1:
            raise UsageError(f"classes are read from one column, not from {', '.join(self.columns) or 'none'}")


def clip_targets(manifest: Manifest, ids: Sequence[str], spec: TargetSpec) -> NDArray[np.int64] | NDArray[np.float32]:
    """Targets of clips in the order of ``ids``.

    Returns:
        int64 ``(N,)`` class indices where ``spec.classes`` is given, else float32 ``(N, K)``.

    Raises:
        UsageError: a column is missing, a value is empty, not a number, or not one of the classes. The message names
            the row, the value and what is allowed.
    """
    if spec.classes is not None:
        return class_indices(manifest.column(spec.columns[0], ids), spec.classes, manifest.place)
    columns = [_numbers(manifest.column(column, ids), manifest.place) for column in spec.columns]
    return np.stack(columns, axis=1).astype(np.float32)


def class_indices(values: pd.Series, classes: Sequence[str], place: Place) -> NDArray[np.int64]:
    """Indices of class names (or of indices written as whole numbers); ``place`` tells users where a row stands."""
    index = {name: number for number, name in enumerate(classes)}
    by_number = not any(_whole(name) is not None for name in classes)
    result = np.empty(len(values), dtype=np.int64)
    known: dict[object, int] = {}
    for at, (row, value) in enumerate(values.items()):
        if value not in known:
            _refuse_missing(value, values.name, place(row))
            known[value] = _class_index(value, index, by_number)
            if known[value] < 0:
                raise UsageError(
                    f"{place(row)} has {values.name} = {value!r}, which is not one of the classes "
                    f"{', '.join(classes)}{f' (or 0..{len(classes) - 1})' if by_number else ''}; "
                    "correct the table or the list of classes"
                )
        result[at] = known[value]
    return result


def _class_index(value: object, index: dict[str, int], by_number: bool) -> int:
    number = _whole(value)
    name = str(value).strip() if number is None or isinstance(value, str) else str(number)
    if name in index:
        return index[name]
    return number if by_number and number is not None and 0 <= number < len(index) else -1


def _whole(value: object) -> int | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _numbers(values: pd.Series, place: Place) -> NDArray[np.float64]:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        at = int(np.argmax(bad))
        row, value = values.index[at], values.iloc[at]
        _refuse_missing(value, values.name, place(row))
        raise UsageError(f"{place(row)} has {values.name} = {value!r}, which is not a number; correct it")
    return numbers


def _refuse_missing(value: object, column: object, place: str) -> None:
    if pd.isna(value):  # type: ignore[call-overload]
        raise UsageError(f"{place} has no {column} (NaN or empty); fill it in, or take the row out of the table")
