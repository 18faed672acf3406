"""Timelines with every case in them, recordings whose truth is known, and models that measure it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from mien.checkpoints.bundle import Bundle
from mien.faces import CropRecipe, TrackedFace, TrackedFrame
from mien.inference.timeline import NOBODY, TRACK_COLUMNS, FileInfo, Rows, Timeline, make_timeline
from mien.media import VideoReader, VideoWriter
from mien.models import Encoder, Features, ModelInputs, Recogniser
from mien.models.specification import Inputs, SoundInput, Specification, TaskConfig, VideoInput
from mien.tasks import create_task

CLASSES = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")


def some_rows(track: int, first: int, last: int, width: int, seed: int, unseen: tuple[int, ...] = ()) -> Rows:
    """Rows of 0.2 s from ``first`` to ``last``; probabilities that drift, NaN at the rows in ``unseen``."""
    start = np.arange(first, last) * 0.2
    logits = np.cumsum(np.random.default_rng(seed).normal(size=(last - first, width)), axis=0) / 2
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    face = np.ones(last - first)
    gone = [i - first for i in unseen]
    values[gone], face[gone] = np.nan, 0.0
    used = ["" if i in gone else "video" for i in range(last - first)]
    return Rows(track, start, start + 0.2, values, face, used)


def boxes(file: str) -> pd.DataFrame:
    rows = [
        (file, 0, 0.0, 10, 10, 60, 60, 0.9),
        (file, 0, 9.0, 20, 10, 70, 60, 0.9),
        (file, 1, 4.0, 90, 9, 99, 20, 0.8),
    ]
    return pd.DataFrame(rows, columns=list(TRACK_COLUMNS)).astype(
        {"file": "str"} | dict.fromkeys(TRACK_COLUMNS[2:], float)
    )


@pytest.fixture
def make_rows() -> Callable[..., Rows]:
    return some_rows


@pytest.fixture
def classified() -> Timeline:
    """12 s: face 0 from 0 to 9 s with a gap, face 1 from 4 to 9 s, nobody from 9 to 12 s."""
    nobody = some_rows(NOBODY, 45, 60, 7, 0, tuple(range(45, 60)))
    blocks = [some_rows(0, 0, 45, 7, 1, (20, 21)), nobody, some_rows(1, 20, 45, 7, 2)]
    info = FileInfo("talk.mp4", 12.0, 640, 360, 25.0, True)
    return make_timeline(
        {"talk.mp4": blocks}, "classification", CLASSES, {"talk.mp4": info}, boxes("talk.mp4"), "test", 0.2
    )


@pytest.fixture
def circumplex() -> Timeline:
    """6 s of valence and arousal of one face."""
    block = some_rows(0, 0, 30, 2, 3, (4,))
    block.values = 2 * block.values - 1
    info = {"a,b.mp4": FileInfo("a,b.mp4", 6.0)}
    return make_timeline({"a,b.mp4": [block]}, "dimensions", ("valence", "arousal"), info, model="test", step=0.2)


class Meter(Encoder):
    """An encoder whose features can be known beforehand: brightness 0..1 of the picture and loudness of the sound."""

    modalities = ("video", "sound")
    feature_dim = 2
    depth = 0

    def forward_features(self, inputs: ModelInputs) -> Features:
        brightness = inputs["video"].mean(dim=(1, 3, 4))  # (B, T)
        loudness = torch.zeros(len(brightness))
        if "sound" in inputs:
            loudness = inputs["sound"].abs().mean(dim=1)
        frames = torch.stack([brightness, loudness[:, None].expand_as(brightness)], dim=2)
        return Features(pooled=frames.mean(dim=1), frames=frames)


class PassOn(nn.Module):
    """A head that says what the encoder measured."""

    def __init__(self, level: str, outputs: int) -> None:
        super().__init__()
        self.level, self.outputs = level, outputs

    def forward(self, features: Features, inputs: ModelInputs) -> Tensor:
        found = features.frames if self.level == "frame" else features.pooled
        assert found is not None
        return found[..., : self.outputs]


@pytest.fixture
def meter(tmp_path: Path) -> Callable[..., Bundle]:
    """Bundles that measure: ``meter(level="frame", crop=..., sound=True, frames=8, stride=2, fps=None)``."""

    def make(
        level: str = "clip",
        crop: CropRecipe | None = None,
        sound: bool = False,
        frames: int | None = 8,
        stride: int | None = 2,
        fps: float | None = None,
    ) -> Bundle:
        plain = {"size": 16, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
        video = VideoInput(frames=frames, stride=stride, fps=fps, crop=crop, **plain)
        hears = SoundInput(rate=8000, features="waveform") if sound else None
        names = ("brightness", "loudness") if sound else ("brightness",)
        config = TaskConfig(kind="dimensions", level=level, outputs=names)
        model = Recogniser(Meter(), PassOn(level, len(names))).eval()
        specification = Specification(model="meter", inputs=Inputs(video=video, sound=hears), task=config)
        return Bundle(model, specification, create_task(config), tmp_path)

    return make


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Recordings of two grey squares on black: ``film(left, right, times=None, loudness=None)``.

    ``left`` and ``right`` are brightness 0..1 per frame; they fill 80 x 80 px at (20, 80) and (200, 80) of 320 x 240.
    ``loudness`` is the mean absolute value of a tone, one number per second.
    """

    def make(
        left: np.ndarray,
        right: np.ndarray,
        times: np.ndarray | None = None,
        loudness: list[float] | None = None,
        name: str = "film.mp4",
    ) -> Path:
        path = tmp_path / name
        rate = 16000 if loudness is not None else None
        with VideoWriter(path, (320, 240), fps=25, sound_rate=rate, quality=0) as out:
            for index, (a, b) in enumerate(zip(left, right, strict=True)):
                image = np.zeros((240, 320, 3), np.uint8)
                image[80:160, 20:100] = round(255 * a)
                image[80:160, 200:280] = round(255 * b)
                out.write(image, None if times is None else float(times[index]))
            if loudness is not None:
                tone = np.sin(np.arange(16000) / 16000 * 2 * np.pi * 400) * np.pi / 2
                out.write_sound(np.concatenate([level * tone for level in loudness]).astype(np.float32))
        return path

    return make


LEFT = np.array([28.0, 88, 92, 152])  # within the squares, away from their borders
RIGHT = np.array([208.0, 88, 272, 152])


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Faces by plan instead of a detector: ``planted({0: range(0, 50), 1: range(20, 75)})``, left and right."""

    def plant(plan: dict[int, range | list[int]]) -> None:
        def watch(
            video: VideoReader, settings: object, whole: bool, clock: object
        ) -> Generator[TrackedFrame, None, None]:
            for frame in video.frames():
                faces = [
                    TrackedFace(track, (LEFT, RIGHT)[track % 2], 0.9, None, "detected")
                    for track, indices in plan.items()
                    if frame.index in indices
                ]
                yield TrackedFrame(frame.index, frame.time, frame.image, tuple(faces))

        monkeypatch.setattr("mien.inference.pipeline.watch", watch)

    return plant
