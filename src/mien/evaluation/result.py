"""The result of an evaluation: figures with n and intervals, what they were computed on, and the files they go to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mien.data.manifest import Manifest
from mien.evaluation.abstention import Answered
from mien.evaluation.classes import ClassScore
from mien.evaluation.metrics import confusion_matrix
from mien.evaluation.parts import Part
from mien.evaluation.predictions import Predictions
from mien.evaluation.scores import Judgement, Score
from mien.evaluation.subgroups import GroupScore
from mien.evaluation.summary import summarise
from mien.files import complete, write_json
from mien.tasks import Task
from mien.tasks.tenths import confusion_by_tenths, dominant_confusion

if TYPE_CHECKING:
    from mien.evaluation.missing import Missing

FIXED_COLUMNS = ("id", "path", "start", "end", "subject", "time", "truth", "prediction", "abstain")


@dataclass(frozen=True)
class Weights:
    """Which weights were judged.

    Attributes:
        source: run, bundle or hub id as given.
        model: registered name.
        which: in words (``best by uar on validation``, ``last``, ...); empty where unknown.
        sha256: of ``model.safetensors``.
    """

    source: str
    model: str
    which: str
    sha256: str


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """What ``evaluate`` found.

    Attributes:
        task: what was judged.
        weights: which weights.
        manifest: the corpus.
        part: which rows, the protocol's digest and notes on them.
        predictions: merged views of every clip that could be read, and the failures.
        judgements: sums behind the scores, by unit.
        scores: metrics with n and intervals; the task's first metric comes first.
        unit: what intervals draw: ``subject`` or ``clip``.
        settings: views, precision, device, seed, level and number of replicates.
        notes: what a reader must know: those of the part, and on the intervals.
        classes: every class by itself; empty for continuous values.
        groups: figures for groups of people or clips.
        cost: what judging took: parameters, multiplications, seconds, memory; empty where no model ran.
        probable: the outputs of a classification are probabilities, not only the chosen class.
        missing: scores with modalities missing, where they were asked for.
        answered: what is left where the bundle abstains; None where it is not calibrated.
    """

    task: Task
    weights: Weights
    manifest: Manifest
    part: Part
    predictions: Predictions
    judgements: tuple[Judgement, ...]
    scores: tuple[Score, ...]
    unit: str
    settings: dict[str, Any]
    notes: tuple[str, ...]
    classes: tuple[ClassScore, ...] = ()
    groups: tuple[GroupScore, ...] = ()
    cost: dict[str, Any] = field(default_factory=dict)
    probable: bool = True
    missing: Missing | None = None
    answered: Answered | None = None

    def __getitem__(self, name: str) -> Score:
        """A score by name; raises ``KeyError``."""
        return {score.name: score for score in self.scores}[name]

    @property
    def confusion(self) -> np.ndarray | None:
        """Counts ``(K, K)``, rows are the truth; None for continuous values."""
        if self.task.classes is None:
            return None
        truth = self.predictions.truth
        predicted = self.predictions.output.argmax(axis=1)
        return confusion_matrix(truth[truth >= 0], predicted[truth >= 0], len(self.task.classes))

    def __repr__(self) -> str:
        first = self.scores[0]
        between = f"{first.interval.low:.3f} to {first.interval.high:.3f} by {self.unit}"
        figures = f"{first.name} {first.value:.3f}, {between}, {first.n} {first.counted}"
        return f"EvaluationResult({figures}, {self.weights.source!r} on {self.manifest.name!r})"

    def bin_confusions(self) -> dict[str, np.ndarray]:
        """Counts ``(bins, bins)`` of every value that is also told as bins, rows are the truth; empty elsewhere."""
        bins, names = self.task.bins, self.task.columns()
        if bins is None:
            return {}
        truth, output = self.predictions.truth, self.predictions.output
        found = {}
        for number, name in enumerate(names):
            known = ~np.isnan(truth[:, number])
            told = output[known, len(names) + number].astype(np.int64)
            true = np.clip(np.floor((truth[known, number] + 1) * (bins / 2)), 0, bins - 1).astype(np.int64)
            found[name] = confusion_matrix(true, told, bins)
        return found

    def tenths(self, published: bool = False) -> dict[str, np.ndarray]:
        """Confusion by tenths of every intensity (``mien.tasks.tenths``), rows are the truth and add up to 1."""
        truth, output = self.predictions.truth, self.predictions.output
        known = ~np.isnan(truth)
        return {
            name: confusion_by_tenths(truth[known[:, i], i], output[known[:, i], i], published)
            for i, name in enumerate(self.task.columns())
        }

    def strongest(self) -> np.ndarray:
        """Counts ``(K, K)`` of which intensity is the highest, rows are the truth; clips with all labels."""
        known = ~np.isnan(self.predictions.truth).any(axis=1)
        return dominant_confusion(self.predictions.truth[known], self.predictions.output[known])

    def units(self) -> list[str] | None:
        """As ``units_of``, for the clips that were scored."""
        return units_of(self.manifest, self.predictions.ids)

    def videos(self) -> list[str]:
        """As ``videos_of``, for the clips that were scored."""
        return videos_of(self.manifest, self.predictions.ids)

    def table(self) -> pd.DataFrame:
        """Predictions: one row per clip (or frame) with id, path, truth, prediction and one column per output.

        Classes: ``truth`` and ``prediction`` are names, outputs probabilities. Values: ``truth_<name>`` beside
        ``<name>``. An output named as a fixed column becomes ``output_<name>``. ``abstain`` of a calibrated bundle: why
        it would not answer, empty where it would.
        """
        predictions = self.predictions
        rows = self.manifest.select(predictions.ids).frame
        kept = [column for column in ("id", "path", "start", "end", "subject") if column in rows]
        groups = [column for column in dict.fromkeys(one.column for one in self.groups) if column not in kept]
        table = rows[kept + groups].iloc[predictions.clip_of].reset_index(drop=True)
        if self.task.config.level == "frame":
            table["time"] = np.concatenate([clip.times for clip in predictions.clips])
        truth, output = predictions.truth, predictions.output
        if self.task.classes is not None:
            names = np.asarray(self.task.classes, dtype=object)
            table["truth"] = [names[number] if number >= 0 else None for number in truth]
            table["prediction"] = names[output.argmax(axis=1)]
        else:
            for column, name in enumerate(self.task.columns()):
                table[f"truth_{name}"] = truth[:, column]
        if self.answered is not None:
            table["abstain"] = list(self.answered.reasons)
        for column, name in enumerate(self.task.columns()):
            table[f"output_{name}" if name in FIXED_COLUMNS else name] = output[:, column]
        return table

    def summary(self) -> dict[str, Any]:
        """Everything but the predictions, for JSON; what is undefined is None."""
        return summarise(self)

    def write(self, folder: Path | str) -> dict[str, Path]:
        """Write ``metrics.json``, ``predictions.csv``, ``features.npz``, pictures, ``report.html`` and its tables.

        Each file appears only when complete.

        Returns:
            paths by name: ``metrics``, ``predictions``, ``report``, ``tables`` (their folder), ``features`` where they
            were kept, and each picture.

        Raises:
            MienError: the folder cannot be written.
        """
        from mien.evaluation.pictures import draw
        from mien.evaluation.report import of_result, write_report
        from mien.evaluation.report.sources import run_files, saved_pictures

        folder = Path(folder)
        pictures = draw(self)
        paths = {"predictions": folder / "predictions.csv"}
        if self.missing is not None:
            paths |= self.missing.write(folder)
        with complete(paths["predictions"]) as part:
            self.table().to_csv(part, index=False, lineterminator="\n")
        kept = [clip.features for clip in self.predictions.clips]
        if all(one is not None for one in kept):
            paths["features"] = folder / "features.npz"
            with complete(paths["features"]) as part, part.open("wb") as file:
                np.savez(file, ids=np.array(self.predictions.ids), features=np.stack(kept).astype(np.float32))  # type: ignore[arg-type]
        for name, content in pictures.items():
            paths[name] = folder / f"{name}.png"
            with complete(paths[name]) as part:
                part.write_bytes(content)
        run = run_files(Path(self.weights.source))
        source = of_result(self, Path(self.weights.source).name or self.weights.model, run)
        paths |= write_report([replace(source, pictures=saved_pictures(folder))], folder / "report.html")
        paths["metrics"] = folder / "metrics.json"
        write_json(paths["metrics"], self.summary())
        return paths


def units_of(manifest: Manifest, ids: list[str]) -> list[str] | None:
    """Subject of every clip, the unit of intervals; a clip without one is its own. None where no subject is known."""
    return units_of_table(manifest.frame.set_index(manifest.frame["id"].astype(str)).loc[ids])


def units_of_table(rows: pd.DataFrame) -> list[str] | None:
    """As ``units_of``, from one row per clip with its id as the index."""
    if "subject" not in rows or not rows["subject"].notna().any():
        return None
    # the name of a lone clip is one that no subject can have
    return [f"\0{id_}" if pd.isna(name) else str(name) for id_, name in rows["subject"].items()]


def videos_of(manifest: Manifest, ids: list[str]) -> list[str]:
    """Recording that every clip is part of; two people in one file are two recordings."""
    return videos_of_table(manifest.frame.set_index(manifest.frame["id"].astype(str)).loc[ids])


def videos_of_table(rows: pd.DataFrame) -> list[str]:
    """As ``videos_of``, from one row per clip with its id as the index."""
    people = units_of_table(rows) or [""] * len(rows)
    return [f"{path}\n{person}" for path, person in zip(rows["path"], people, strict=True)]
