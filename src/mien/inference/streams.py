"""Recordings for models of feature streams: streams are extracted from consecutive stretches, one row for each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mien.checkpoints.bundle import Bundle
from mien.errors import UsageError
from mien.extraction.kinds import BATCH
from mien.extraction.recording import RecordingStreams
from mien.inference.abstention import reasons
from mien.inference.forward import Predictor
from mien.inference.settings import PredictSettings
from mien.inference.timeline import NOBODY, TRACK_COLUMNS, FileInfo, Rows, Timeline, join_timelines, make_timeline
from mien.media import probe
from mien.memory import smaller, within_memory
from mien.models.device import device_named
from mien.nn.device import send

WHOLE = 16.5  # seconds up to which a recording is one stretch: what published windows of sound hear whole


def takes_streams_alone(bundle: Bundle) -> bool:
    """Whether a model takes feature streams and neither pictures nor sound."""
    inputs = bundle.specification.inputs
    return inputs.video is None and inputs.sound is None


def predict_streams(
    paths: list[str], bundle: Bundle, settings: PredictSettings, progress: Callable[[float, float], None]
) -> Timeline:
    """Read recordings with a model of streams. Faces are not followed: rows speak of the whole picture.

    A recording of up to 16.5 s is one row; a longer one has a row per ``settings.window`` seconds.

    Raises:
        MienError: a recording cannot be read or has none of the streams.
        UsageError: the bundle has no task, or does not say how its streams are extracted.
    """
    if bundle.task is None:
        raise UsageError(f"{bundle.folder} is a bare encoder without a task; train it on a task first")
    device = str(device_named(settings.device))
    streams = RecordingStreams(bundle.specification.inputs.streams, device, settings.batch or BATCH)
    return join_timelines([_read(path, bundle, streams, settings, device, progress) for path in paths])


@torch.inference_mode()
def _read(
    path: str,
    bundle: Bundle,
    streams: RecordingStreams,
    settings: PredictSettings,
    device: str,
    progress: Callable[[float, float], None],
) -> Timeline:
    assert bundle.task is not None
    info = probe(path)
    edges = _edges(info.duration, settings.window)
    reader = Predictor(bundle, settings.model_copy(update={"device": device}))
    values, used = [], []
    for start, end in pairwise(edges):
        tensors, names = streams.read(Path(path), float(start), float(end))
        with within_memory(f"with one stretch of the recording on {device}", smaller(device=device)):
            outputs = reader({name: send(value, torch.device(device)) for name, value in tensors.items()})
            values.append(outputs[0, 0].cpu().double().numpy())
        used.append("+".join(names))
        progress(float(end), info.duration)
    picture = info.picture
    fps = round(picture.fps, 6) if picture and np.isfinite(picture.fps) else 0.0
    size = (picture.width, picture.height) if picture else (0, 0)
    file = FileInfo(info.path, round(info.duration, 6), *size, fps, info.sound is not None)
    read, count = np.stack(values), len(reader.outputs)
    strange = read[:, count] if reader.width > count else np.full(len(read), np.nan)
    rows = Rows(NOBODY, edges[:-1], edges[1:], read[:, :count], np.zeros(len(read)), used, strange)
    unseen = np.zeros((0, 6))
    rows.abstain = reasons(rows, settings, reader.calibration, unseen, unseen, reader.kind == "classification")
    return make_timeline(
        {info.path: [rows]},
        bundle.task.kind,
        bundle.task.columns(),
        {info.path: file},
        pd.DataFrame(columns=list(TRACK_COLUMNS)),
        bundle.specification.model,
        round(float(edges[1] - edges[0]), 6),
    )


def _edges(duration: float, window: float) -> np.ndarray:
    count = 1 if duration <= WHOLE else max(1, round(duration / window))
    return np.linspace(0.0, duration, count + 1)
