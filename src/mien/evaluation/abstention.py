"""What a calibrated bundle would not have answered, clip by clip, and what the figures are without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from mien.data.manifest import Manifest
from mien.evaluation.intervals import LEVEL, REPLICATES
from mien.evaluation.predictions import Predictions
from mien.evaluation.scores import Score, judge, score
from mien.evaluation.tallies import Floats
from mien.models.abstention import DARK, LEAST_FACE, LEAST_LIGHT, SMALL, STRANGE, UNSURE
from mien.models.familiarity import unfamiliarity
from mien.models.specification import Calibration
from mien.tasks import Task


@dataclass(frozen=True)
class Answered:
    """What is left where a bundle abstains as ``mien predict`` would.

    Attributes:
        reasons: of every clip (or frame), in the order of the predictions; empty where it is answered.
        scores: the task's metrics over what is answered; empty where nothing is.
        clips: how many clips are answered, wholly or in part.
    """

    reasons: tuple[str, ...]
    scores: tuple[Score, ...]
    clips: int

    @property
    def coverage(self) -> float:
        """Share of clips (or frames) that are answered."""
        return self.reasons.count("") / len(self.reasons)

    @property
    def counts(self) -> dict[str, int]:
        """How often each reason was given, the most frequent one first."""
        return dict(Counter(reason for reason in self.reasons if reason).most_common())


def reasons(task: Task, predictions: Predictions, manifest: Manifest, calibration: Calibration) -> list[str]:
    """Why clips (or frames) are not answered, ``""`` where they are; the first reason that holds is given.

    Faces are in the clips already, so their size and light are what the preparation noted in the columns ``face_size``
    (pixels) and ``light`` (0..1), as far as the manifest has them. A clip's features are the mean over its views.
    """
    clip_of = predictions.clip_of
    found = np.full(len(clip_of), "", dtype=object)
    if task.kind == "classification" and calibration.confidence is not None:
        found[predictions.output.max(axis=1) < calibration.confidence] = UNSURE
    kept = [clip.features for clip in predictions.clips]
    if calibration.limit is not None and all(one is not None for one in kept):
        far = unfamiliarity(torch.tensor(np.stack(kept)), calibration).numpy()  # type: ignore[arg-type]
        found[(far > 1.0)[clip_of]] = STRANGE
    ids = predictions.ids
    found[(_noted(manifest, "light", ids) * 255 < LEAST_LIGHT)[clip_of]] = DARK
    found[(_noted(manifest, "face_size", ids) < LEAST_FACE)[clip_of]] = SMALL
    return found.tolist()


def answered(
    task: Task,
    predictions: Predictions,
    reasons_: Sequence[str],
    units: Sequence[str] | None,
    videos: Sequence[str],
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Answered:
    """Judge what is answered; ``units`` and ``videos`` of every clip are those of ``mien.evaluation.scores.judge``."""
    kept = np.array([reason == "" for reason in reasons_])
    clips, at = [], []
    for number, (clip, rows) in enumerate(zip(predictions.clips, _rows(predictions), strict=True)):
        own = kept[rows]
        if own.any():
            clips.append(replace(clip, output=clip.output[own], truth=clip.truth[own], times=clip.times[own]))
            at.append(number)
    if not clips:
        return Answered(tuple(reasons_), (), 0)
    people = None if units is None else [units[number] for number in at]
    judgements = judge(task, Predictions(tuple(clips)), task.metrics(), people, [videos[number] for number in at])
    return Answered(tuple(reasons_), score(judgements, level, replicates, seed), len(clips))


def _rows(predictions: Predictions) -> list[slice]:
    ends = np.cumsum([len(clip.output) for clip in predictions.clips]).tolist()
    return [slice(end - len(clip.output), end) for clip, end in zip(predictions.clips, ends, strict=True)]


def _noted(manifest: Manifest, column: str, ids: Sequence[str]) -> Floats:
    """Numbers of a column; NaN, which is below nothing, where there are none."""
    if not manifest.has(column):
        return np.full(len(ids), np.nan)
    return pd.to_numeric(manifest.column(column, ids), errors="coerce").to_numpy(dtype=np.float64)
