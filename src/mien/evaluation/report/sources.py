"""What a report is made from: an evaluation, and the run that it belongs to where there is one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.data.arrays import read_arrays
from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation.given import is_file, judge_file
from mien.evaluation.paired import read_predictions
from mien.evaluation.pictures import CAPTIONS
from mien.evaluation.predictions import Predictions
from mien.evaluation.result import EvaluationResult, units_of_table, videos_of_table
from mien.evaluation.tallies import Floats
from mien.models.specification import TaskConfig
from mien.tasks import Task, create_task

PARTS = ("test", "validation", "all", "train")


@dataclass(frozen=True)
class RunFiles:
    """A run's folder as a report reads it.

    Attributes:
        folder: of the run.
        result: ``metrics.json``; empty while the run is not finished.
        recipe: the resolved recipe; empty where it cannot be read.
        ledger: what its weights have seen, from the bundle.
        train, validation: its logs; empty tables where there are none.
    """

    folder: Path
    result: Mapping[str, Any]
    recipe: Mapping[str, Any]
    ledger: Sequence[Mapping[str, Any]]
    train: pd.DataFrame
    validation: pd.DataFrame


@dataclass(frozen=True)
class Source:
    """One system of a report.

    Attributes:
        name: short, as tables say it.
        summary: as ``metrics.json`` of an evaluation; None for a run that has not been judged.
        table: predictions, one row per clip or frame; empty without an evaluation.
        task, predictions: the same as arrays; None without an evaluation.
        units, videos: of every clip in the order of ``predictions``, as ``mien.evaluation.scores.judge`` takes them.
        features: pooled features ``(N, D)`` in that order; None where they were not kept.
        run: the run that made the weights; None where it is not known.
        pictures: that the evaluation drew, PNG by name.
        manifest: the judged corpus; None where only files of the result are known.
        folder: that the result was read from.
    """

    name: str
    summary: Mapping[str, Any] | None
    table: pd.DataFrame
    task: Task | None = None
    predictions: Predictions | None = None
    units: Sequence[str] | None = None
    videos: Sequence[str] = ()
    features: Floats | None = None
    run: RunFiles | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    manifest: Manifest | None = None
    folder: Path | None = None

    def score(self, name: str) -> Mapping[str, Any] | None:
        """A score of the summary by name."""
        scores = self.summary["scores"] if self.summary else ()
        return next((score for score in scores if score["name"] == name), None)


def load_source(path: Path | str, classes: Sequence[str] = (), groups: Sequence[str] = ()) -> Source:
    """A run, the folder of an evaluation, or a file of predictions.

    Raises:
        UsageError: it is none of these, or it is damaged.
    """
    if is_file(path):
        from mien.evaluation.assess import EvaluationSettings

        return of_result(judge_file(path, EvaluationSettings(groups=tuple(groups)), classes), Path(path).stem)
    folder = Path(path)
    if not folder.is_dir():
        raise UsageError(f"{path} is no run, evaluation or file of predictions (.npz, .csv)")
    run = run_files(folder)
    judged = (
        folder if run is None else next((folder / "evaluation" / part for part in PARTS if _judged(folder, part)), None)
    )
    if run is None and not (folder / "predictions.csv").is_file():
        raise UsageError(
            f"{folder} holds neither a run (recipe.yaml) nor an evaluation (metrics.json, predictions.csv)"
        )
    if judged is None:
        return Source(folder.name, None, pd.DataFrame(), run=run)
    home = (
        run
        if run is not None
        else next((found for up in list(judged.absolute().parents)[:2] if (found := run_files(up))), None)
    )
    return _of_folder(judged, home.folder.name if home else folder.name, home)


def distinct(sources: Sequence[Source]) -> list[Source]:
    """The same with names that differ: a second ``run`` becomes ``run (2)``."""
    seen: dict[str, int] = {}
    out = []
    for source in sources:
        seen[source.name] = seen.get(source.name, 0) + 1
        number = seen[source.name]
        out.append(source if number == 1 else replace(source, name=f"{source.name} ({number})"))
    return out


def of_result(result: EvaluationResult, name: str, run: RunFiles | None = None) -> Source:
    """A result that is still in memory."""
    kept = [clip.features for clip in result.predictions.clips]
    features = np.stack([one for one in kept if one is not None]) if all(one is not None for one in kept) else None
    summary = json.loads(json.dumps(result.summary()))
    return Source(
        name,
        summary,
        result.table(),
        result.task,
        result.predictions,
        result.units(),
        result.videos(),
        features,
        run,
        manifest=result.manifest,
    )


def run_files(folder: Path) -> RunFiles | None:
    """What a run's folder holds; None where it is none."""
    if not (folder / "recipe.yaml").is_file():
        return None
    import yaml

    try:
        recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        recipe = {}
    config = _json(folder / "bundle" / "config.json")
    ledger = config.get("provenance", {}).get("ledger", ())
    logs = [_csv(folder / "logs" / f"{kind}.csv") for kind in ("train", "validation")]
    return RunFiles(folder, _json(folder / "metrics.json"), recipe or {}, ledger, *logs)


def saved_pictures(folder: Path) -> dict[str, bytes]:
    """Pictures that an evaluation wrote to its folder, by name."""
    return {kind: file.read_bytes() for kind in CAPTIONS if (file := folder / f"{kind}.png").is_file()}


def _judged(folder: Path, part: str) -> bool:
    return (folder / "evaluation" / part / "predictions.csv").is_file()


def _of_folder(folder: Path, name: str, run: RunFiles | None) -> Source:
    summary = _json(folder / "metrics.json")
    if "task" not in summary:
        raise UsageError(f"{folder}: metrics.json is missing or not what mien evaluate writes; evaluate again")
    task = create_task(TaskConfig.model_validate(summary["task"]))
    table = _csv(folder / "predictions.csv")
    predictions = read_predictions(folder, task)
    rows = table.drop_duplicates("id").set_index(table.drop_duplicates("id")["id"].astype(str)).loc[predictions.ids]
    units = units_of_table(rows)
    features = None
    if (folder / "features.npz").is_file():
        kept = read_arrays(folder / "features.npz")
        at = {str(id_): number for number, id_ in enumerate(kept["ids"])}
        if all(id_ in at for id_ in predictions.ids):
            features = kept["features"][[at[id_] for id_ in predictions.ids]].astype(np.float64)
    pictures = saved_pictures(folder)
    videos = videos_of_table(rows)
    return Source(name, summary, table, task, predictions, units, videos, features, run, pictures, None, folder)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"id": str, "subject": str})
    except (OSError, ValueError):
        return pd.DataFrame()
