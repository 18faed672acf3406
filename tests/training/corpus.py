"""A corpus small enough to train on in a second: real video files, two classes that move differently."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mien.media import VideoWriter
from mien.training.recipe import check_recipe
from mien.training.schema import Recipe

FRAMES, SIDE = 12, 64
MakeRecipe = Callable[..., Recipe]

COMMON: dict[str, Any] = {"precision": "fp32", "hardware": {"accelerator": "cpu"}}
TASK = COMMON | {
    "name": "small",
    "model": {"name": "videomae_test", "arguments": {"drop_path": 0.2}},
    "task": {"kind": "classification", "outputs": ["right", "down"]},
    "optimiser": {"lr": 1e-3, "layer_decay": 0.75, "ema": 0.9, "clip": 1.0},
    "schedule": {"epochs": 3, "warmup_steps": 2},
}
PRETEXT = COMMON | {
    "name": "masked",
    "data": {"protocol": {"by": "all"}},
    "model": {"name": "videomae_test"},
    "pretext": {"kind": "masked_autoencoder"},
    "optimiser": {"lr": 1e-3, "betas": [0.9, 0.95]},
    "schedule": {"epochs": 2},
}


def write_corpus(folder: Path, clips: int = 24) -> Path:
    """``manifest.csv`` and its videos: a red spot moving right (class ``right``) or a blue one moving down (``down``).

    Subjects 0..3 train, 4 validates, 5 tests; the label files give the spot's place, -1..1, at every frame.
    """
    rng = np.random.default_rng(0)
    rows = []
    for number in range(clips):
        name, subject = ("right", "down")[number % 2], number // 2 % 6
        start = rng.uniform(0.1, 0.3)
        times, labels = np.arange(FRAMES) / 25, []
        with VideoWriter(folder / f"{number}.mp4", size=(SIDE, SIDE), fps=25) as video:
            for index in range(FRAMES):
                along = start + 0.6 * index / FRAMES
                place = (along, start) if name == "right" else (start, along)
                video.write(_spot(place, 0 if name == "right" else 2, rng))
                labels.append((times[index], 2 * place[0] - 1, 2 * place[1] - 1))
        with (folder / f"{number}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("time", "across", "along"), *labels])
        split = "train" if subject < 4 else ("validation" if subject == 4 else "test")
        rows.append((f"{number}.mp4", f"s{subject}", split, name, f"{number}.csv"))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "subject", "split", "label", "labels"), *rows])
    return folder / "manifest.csv"


def _spot(place: tuple[float, float], colour: int, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    picture = rng.uniform(0, 40, (SIDE, SIDE, 3))
    picture[..., colour] += 200 * np.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / 0.02)
    return picture.astype(np.uint8)


def make_recipe(defaults: dict[str, Any], manifest: Path, **changes: Any) -> Recipe:
    """A recipe from defaults (``TASK`` or ``PRETEXT``); arguments replace whole sections."""
    values = {"data": {}, **defaults, **changes}
    values["data"] = {"manifest": str(manifest), "batch": 4, "workers": 0} | values["data"]
    return check_recipe(values, values["name"])
