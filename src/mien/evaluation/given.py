"""Predictions of any origin, judged as mien's own are: a CSV or an NPZ file with the truth beside them.

CSV: the columns ``truth`` and ``prediction`` (class names), or ``truth_<name>`` and ``<name>`` for every value, as
``mien evaluate`` writes them; columns named as classes hold probabilities; ``id``, ``subject`` and columns to group by
where they are known.

NPZ: ``y_true`` class ids or float values; ``y_pred`` likewise, or ``probabilities (N, K)``, or ``logits (N, ..., K)``
whose views in between are averaged after the softmax; ``ids``, ``subject``, ``classes`` where they are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from mien.data.arrays import read_arrays
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.errors import UsageError
from mien.evaluation.assess import EvaluationSettings, judged, names_for
from mien.evaluation.exposure import Seen
from mien.evaluation.parts import Part
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.result import FIXED_COLUMNS, EvaluationResult, Weights
from mien.evaluation.subgroups import subgroup_columns
from mien.evaluation.tallies import Floats
from mien.files import sha256
from mien.models.specification import TaskConfig
from mien.tasks import create_task

SUFFIXES = (".npz", ".csv")


@dataclass(frozen=True)
class Given:
    """What a file says.

    Attributes:
        frame: one row per clip: ``id``, ``subject`` and further columns where they are known.
        truth: class ids ``(N,)`` or values ``(N, K)``.
        output: probabilities (or 1 for the chosen class) ``(N, K)``, or values.
        names: of classes or values.
        classes: True where these are classes.
        probable: outputs are probabilities.
    """

    frame: pd.DataFrame
    truth: np.ndarray
    output: Floats
    names: tuple[str, ...]
    classes: bool
    probable: bool


def is_file(source: str | Path) -> bool:
    """True where a source is a file of predictions and no run."""
    return Path(source).suffix in SUFFIXES and Path(source).is_file()


def judge_file(
    path: Path | str,
    settings: EvaluationSettings | None = None,
    classes: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> EvaluationResult:
    """Judge a file of predictions.

    Args:
        path: CSV or NPZ, see above.
        settings: of the bootstrap, and columns to group by.
        classes: names in the order of class ids, where the file does not say them.
        metrics: further metrics.

    Raises:
        UsageError: the file cannot be read, or truth and predictions do not fit each other.
    """
    path, settings = Path(path), settings or EvaluationSettings()
    given = _read_npz(path, classes) if path.suffix == ".npz" else _read_csv(path, classes)
    kind = "classification" if given.classes else "dimensions"
    task = create_task(TaskConfig(kind=kind, outputs=given.names))
    frame = given.frame if "path" in given.frame else given.frame.assign(path=given.frame["id"])
    manifest = Manifest(frame, path.parent, str(path))
    truth = given.truth.astype(np.int64 if given.classes else np.float64)
    clips = [
        ClipPrediction(str(id_), given.output[[row]], truth[[row]], np.full(1, np.nan), 1)
        for row, id_ in enumerate(manifest.ids)
    ]
    ids = tuple(sorted(manifest.ids))
    part = Part("all", ids, Protocol(test=ids).digest, (), Seen("unknown"))
    weights = Weights(str(path), path.stem, "", sha256(path))
    names = names_for(task, metrics) if given.probable else (*task.metrics(), *metrics)
    used = settings.model_dump(mode="json") | {"groups": list(subgroup_columns(manifest, settings.groups))}
    predictions = Predictions.join([Predictions(tuple(clips))])
    return judged(task, weights, manifest, part, predictions, names, used, probable=given.probable)


def _read_npz(path: Path, classes: Sequence[str]) -> Given:
    data = read_arrays(path)
    if "y_true" not in data or not {"y_pred", "probabilities", "logits"} & data.keys():
        raise UsageError(
            f"{path}: holds {', '.join(data) or 'nothing'}; it needs y_true and y_pred, probabilities or logits"
        )
    truth = data["y_true"]
    frame = pd.DataFrame({"id": _ids(data.get("ids"), len(truth))})
    for name, values in data.items():
        if name not in ("ids", "classes") and values.ndim == 1 and values.dtype.kind == "U":
            frame[name] = values
    if np.issubdtype(truth.dtype, np.floating):
        values, predicted = (np.atleast_2d(array.T).T for array in (truth, _column(data, path, "y_pred", len(truth))))
        names = tuple(classes) or tuple(f"value_{number}" for number in range(values.shape[1]))
        return Given(frame, values, predicted.astype(np.float64), _fitting(path, names, values.shape[1]), False, True)
    output, probable = _scores(data, path, len(truth), max(len(classes), len(data.get("classes", ()))))
    told = tuple(classes) or tuple(str(name) for name in data.get("classes", ()))
    names = _fitting(path, told or tuple(f"class {number}" for number in range(output.shape[1])), output.shape[1])
    _check_ids(path, truth, len(names))
    return Given(frame, truth, output, names, True, probable)


def _scores(data: Mapping[str, np.ndarray], path: Path, count: int, least: int) -> tuple[Floats, bool]:
    if "logits" in data:
        chances = softmax(_column(data, path, "logits", count).astype(np.float64), axis=-1)
        return chances.mean(axis=tuple(range(1, chances.ndim - 1))), True
    if "probabilities" in data:
        return _column(data, path, "probabilities", count).astype(np.float64), True
    predicted = _column(data, path, "y_pred", count).astype(np.int64)
    _check_ids(path, predicted, None)
    return np.eye(max(int(predicted.max()), int(data["y_true"].max()), least - 1) + 1)[predicted], False


def _column(data: Mapping[str, np.ndarray], path: Path, name: str, count: int) -> np.ndarray:
    if name not in data or len(data[name]) != count:
        raise UsageError(
            f"{path}: {name} has {len(data.get(name, ()))} rows, y_true {count}; both must speak of the same clips"
        )
    return data[name]


def _check_ids(path: Path, ids: np.ndarray, classes: int | None) -> None:
    highest = classes - 1 if classes is not None else None
    wrong = (ids < 0) & (ids != -100) if highest is None else ((ids < 0) & (ids != -100)) | (ids > highest)
    if wrong.any():
        raise UsageError(f"{path}: class id {ids[wrong][0]} must lie in 0..{'' if highest is None else highest}")


def _fitting(path: Path, names: tuple[str, ...], count: int) -> tuple[str, ...]:
    if len(names) != count:
        raise UsageError(f"{path}: has {count} outputs, {len(names)} names were given ({', '.join(names)})")
    return names


def _ids(given: Any, count: int) -> list[str]:
    return [f"{number:07d}" for number in range(count)] if given is None else [str(id_) for id_ in given]


def _read_csv(path: Path, classes: Sequence[str]) -> Given:
    try:
        table = pd.read_csv(path, dtype={"id": str, "truth": str, "prediction": str, "subject": str})
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no table of predictions ({error})") from None
    if "time" in table:
        raise UsageError(f"{path}: predictions per frame are judged with their run: mien evaluate RUN --data MANIFEST")
    table = table.assign(id=_ids(table.get("id"), len(table)))
    if "truth" in table:
        return _classes_of(path, table, classes)
    names = tuple(classes) or tuple(
        name.removeprefix("truth_") for name in map(str, table) if name.startswith("truth_")
    )
    outputs = [f"output_{name}" if f"output_{name}" in table else name for name in names]
    truths = [f"truth_{name}" for name in names]
    missing = [column for column in (*truths, *outputs) if column not in table]
    if missing or not names:
        raise UsageError(
            f"{path}: no column {missing[0] if missing else 'truth'!r}; it needs the truth beside every prediction"
        )
    values, told = (table[columns].to_numpy(dtype=np.float64) for columns in (truths, outputs))
    return Given(table.drop(columns=[*truths, *outputs]), values, told, names, False, True)


def _classes_of(path: Path, table: pd.DataFrame, classes: Sequence[str]) -> Given:
    """Classes are those given, else the columns of probabilities, else the names that occur."""
    occurring = {str(name) for column in ("truth", "prediction") if column in table for name in table[column].dropna()}
    scored = [str(name) for name in table if str(name) in occurring or str(name).startswith("output_")]
    names = tuple(classes) or tuple(name.removeprefix("output_") for name in scored) or tuple(sorted(occurring))
    # classes that neither occur nor are predicted stand between the columns of those that do
    columns = list(table)
    if scored and not classes:
        first, last = columns.index(scored[0]), columns.index(scored[-1])
        names = tuple(str(name).removeprefix("output_") for name in columns[first : last + 1])
    strange = sorted(occurring - set(names))
    if strange:
        raise UsageError(f"{path}: {strange[0]!r} is none of the classes {', '.join(names)}")
    number = {name: position for position, name in enumerate(names)}
    truth = np.array([number.get(str(name), -100) for name in table["truth"]], dtype=np.int64)
    outputs = [f"output_{name}" if name in FIXED_COLUMNS else name for name in names]
    if all(name in table for name in outputs):
        return Given(table.drop(columns=outputs), truth, table[outputs].to_numpy(np.float64), names, True, True)
    if "prediction" not in table or table["prediction"].isna().any():
        raise UsageError(f"{path}: no prediction for every row; it needs the column prediction, or one per class")
    chosen = [number[str(name)] for name in table["prediction"]]
    return Given(table, truth, np.eye(len(names))[chosen], names, True, False)
