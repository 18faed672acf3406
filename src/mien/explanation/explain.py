"""``explain``: where and when a model looked in a recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mien.checkpoints.bundle import Bundle, load
from mien.errors import UsageError
from mien.explanation.occlusion import heat, hide_modalities, hide_moments
from mien.explanation.reader import CELLS, CLASS, MOMENTS, Explainer, Method
from mien.explanation.rollout import rollout, rolls_out
from mien.explanation.score import Score
from mien.extraction.kinds import BATCH
from mien.extraction.recording import RecordingStreams
from mien.faces.recipe import CropRecipe
from mien.files import complete, finite, write_json
from mien.inference.pipeline import read_with
from mien.inference.settings import PredictSettings
from mien.inference.streams import takes_streams_alone
from mien.inference.timeline import Timeline
from mien.media import probe
from mien.memory import smaller, within_memory
from mien.models.contract import Recogniser
from mien.models.device import device_named, placed
from mien.nn.device import send

Progress = Callable[[float, float], None]
STEP = 0.1  # seconds between maps


@dataclass(frozen=True)
class Explanation:
    """What was found in one recording by one method.

    Attributes:
        method: how.
        explained: what was explained, in words.
        timeline: a row per ``STEP`` and face: ``answer``, losses (occlusion), and the map ``m0``...; as ``Explainer``.
        crop: how the model is shown faces, to place maps in the picture.
    """

    method: Method
    explained: str
    timeline: Timeline
    crop: CropRecipe | None

    def maps(self, track: int) -> np.ndarray:
        """Maps of a face over its rows, ``(R, CELLS, CELLS)``; NaN where it was not seen."""
        columns = [f"m{cell}" for cell in range(CELLS * CELLS)]
        return self.timeline.of(track)[columns].to_numpy(float).reshape(-1, CELLS, CELLS)

    def table(self) -> pd.DataFrame:
        """A row per moment and face: ``answer``, ``when`` (1: as relevant as the average moment), and losses.

        Where the most probable class of every window is explained, ``class`` says which one it is; where windows that
        overlap differ, that of most of them.
        """
        frame = self.timeline.frame
        cells = [f"m{cell}" for cell in range(CELLS * CELLS)]
        kept = frame.drop(columns=[*cells, *self._classes, "face", "used"])
        kept.insert(1, "when", frame[cells].sum(axis=1, min_count=1))
        if self._classes:
            kept.insert(1, "class", frame.apply(self.class_of, axis=1))
        return kept.dropna(axis=1, how="all")

    def class_of(self, row: pd.Series) -> str | None:
        """Which class a row of the timeline explains; None where there is no answer, or one output was asked for."""
        shares = row[self._classes].to_numpy(float)
        if not len(shares) or np.isnan(shares).any():
            return None
        return self._classes[int(shares.argmax())].removeprefix(CLASS)

    @property
    def _classes(self) -> list[str]:
        return [str(name) for name in self.timeline.frame.columns if str(name).startswith(CLASS)]

    def summary(self) -> dict[str, Any]:
        """Means over the recording: answer, shares of time of the classes explained, losses by part and modality."""
        table = self.table()
        told: dict[str, Any] = {"method": self.method, "explained": self.explained}
        told["answer"] = _number(table["answer"].mean())
        if "class" in table:
            shares = table["class"].value_counts(normalize=True)
            told["classes"] = {str(name): _number(share) for name, share in shares.items()}
        names = [str(name) for name in table.columns if str(name).startswith(("part ", "modality "))]
        losses = {name: _number(table[name].mean()) for name in names}
        return told | losses

    def write(self, folder: Path | str, name: str, progress: Progress | None = None) -> dict[str, Path]:
        """Write table, summary, pictures and overlay video; returns their paths by kind."""
        from mien.explanation.pictures import contact_sheet, write_heat_video

        stem, folder = f"{name}.{self.method}", Path(folder)
        paths = {"table": folder / f"{stem}.csv", "summary": folder / f"{stem}.json"}
        with complete(paths["table"]) as part:
            self.table().to_csv(part, float_format="%.6f", lineterminator="\n")
        write_json(paths["summary"], self.summary())
        paths["picture"] = folder / f"{stem}.png"
        with complete(paths["picture"]) as part:
            part.write_bytes(contact_sheet(self))
        paths["video"] = folder / f"{stem}.mp4"
        write_heat_video(self, paths["video"], progress)
        return paths


def explain(
    path: str | os.PathLike[str],
    model: Bundle | str | os.PathLike[str],
    method: Method = "gradients",
    output: str | None = None,
    settings: PredictSettings | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Where and when a model looked in a recording.

    Args:
        path: the recording.
        model: bundle, or where it lies.
        method: ``gradients``: what every pixel adds to the answer (integrated gradients), for any encoder;
            ``rollout``: what attention lets through, for transformers, whatever the answer is; ``occlusion``: what the
            answer loses when places, parts of the face, moments and modalities are hidden.
        output: what is explained; None: the most probable class of every window, or the first value.
        settings: as for ``predict``.
        progress: called with seconds done and in all.

    Raises:
        UsageError: the model has no pictures, no such output, or no attention to roll out.
        MienError: the recording or the bundle cannot be read.
    """
    settings = settings or PredictSettings()
    bundle = model if isinstance(model, Bundle) else load(os.fspath(model))
    reader = Explainer(bundle, method, settings, output)
    timeline = read_with(
        path, bundle, reader, settings.model_copy(update={"step": settings.step or STEP}), progress, landmarks=True
    )
    assert bundle.task is not None
    told = bundle.task.columns()[0] if bundle.task.classes is None else "the most probable class of every window"
    if method == "rollout":  # the answer stands beside it, and has no part in it
        output = told = "what attention lets through, whatever the answer is"
    video = bundle.specification.inputs.video
    return Explanation(method, output or told, timeline, video.crop if video else None)


def explain_streams(
    path: str | os.PathLike[str],
    model: Bundle | str | os.PathLike[str],
    output: str | None = None,
    settings: PredictSettings | None = None,
) -> dict[str, Any]:
    """What a model of feature streams goes by in a recording, taken as one stretch.

    Returns:
        ``answer`` of the explained ``output``; ``without``: loss when a stream is absent, by name; ``when``: relevance
        of equal stretches of time (``occlusion``, adding up to 1, and ``rollout`` over steps).

    Raises:
        UsageError: it is no such model, or has no task or no such output.
    """
    bundle = model if isinstance(model, Bundle) else load(os.fspath(model))
    if not takes_streams_alone(bundle) or bundle.task is None or not isinstance(bundle.model, Recogniser):
        raise UsageError(f"{bundle.specification.model} takes no feature streams, or has no task; use explain")
    settings = settings or PredictSettings()
    device = device_named(settings.device)
    score = Score(placed(bundle.model, settings.device), bundle.task, output)
    streams = RecordingStreams(bundle.specification.inputs.streams, str(device), settings.batch or BATCH)
    found, used = streams.read(Path(path), 0.0, probe(path).duration)
    with within_memory(f"with the whole recording on {device}", smaller(device=device.type)):
        return _told(score, {name: send(value, device) for name, value in found.items()}, used)


def _told(score: Score, inputs: Mapping[str, Tensor], used: Sequence[str]) -> dict[str, Any]:
    """See ``explain_streams``."""
    with torch.no_grad():
        chosen = score.chosen(inputs)
        answer = float(score.read(inputs, chosen)[0])
    lost = hide_modalities(score, inputs)
    when = torch.stack([hide_moments(score, inputs, MOMENTS, name) for name in used]).sum(dim=0)
    found: dict[str, Any] = {
        "output": score.task.columns()[int(chosen[0])],
        "answer": round(answer, 6),
        "streams": used,
        "without": {name: round(float(loss[0]), 6) for name, loss in lost.items()},
        "when": {"occlusion": [round(value, 4) for value in heat(when)[0].tolist()]},
    }
    if rolls_out(score.model.encoder):
        found["when"]["rollout"] = [round(value, 4) for value in rollout(score.model.encoder, inputs)[0].tolist()]
    return found


def _number(value: float) -> float | None:
    """Six decimals are more than a mean of answers deserves."""
    rounded: float | None = finite(round(float(value), 6))
    return rounded
