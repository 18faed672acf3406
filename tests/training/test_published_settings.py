"""Shipped recipes of published runs against the figures of their publications and scripts, here by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mien.training.experiment import inputs_of
from mien.training.recipe import list_recipes, load_recipe
from mien.training.schedules import learning_rates
from mien.training.schema import Recipe

ADAMW = {"kind": "adamw", "betas": (0.9, 0.999), "eps": 1e-8, "clip": None, "ema": None}
MASKED = ADAMW | {"betas": (0.9, 0.95), "weight_decay": 0.05, "layer_decay": None, "decay": "matrices"}
FINETUNED = ADAMW | {"weight_decay": 0.05, "layer_decay": 0.75, "decay": "matrices"}
# recipe → clips per step, highest and lowest rate, frames between two frames, side, epochs, warm-up
TRANSFORMERS: dict[str, tuple[int, float, float, int, int, int, int]] = {
    "svfap/pretrain_voxceleb2": (256, 3e-4, 1e-5, 4, 160, 100, 5),
    "svfap/finetune_dfew": (64, 2.5e-4, 2.5e-7, 4, 160, 100, 5),
    "svfap/finetune_ferv39k": (64, 2.5e-4, 2.5e-7, 1, 160, 100, 5),
    "svfap/finetune_mafw": (64, 2.5e-4, 2.5e-7, 4, 160, 100, 5),
    "maedfer/pretrain_voxceleb2": (160, 1.875e-4, 6.25e-6, 4, 160, 100, 5),
    "maedfer/finetune_dfew": (96, 3.75e-4, 3.75e-7, 4, 160, 100, 5),
    "maedfer/finetune_ferv39k": (120, 4.6875e-4, 4.6875e-7, 1, 160, 100, 5),
    "maedfer/finetune_mafw": (96, 3.75e-4, 3.75e-7, 4, 160, 100, 5),
    "maedfer_ca/finetune_ferv39k_add": (16, 6.25e-5, 6.25e-8, 1, 160, 100, 5),
    "maedfer_ca/finetune_ferv39k_add_4x5x10": (16, 6.25e-5, 6.25e-8, 1, 160, 100, 5),
    "maedfer_ca/finetune_ferv39k_add_pos": (16, 6.25e-5, 6.25e-8, 1, 160, 100, 5),
    "maedfer_ca/finetune_ferv39k_cat": (16, 6.25e-5, 6.25e-8, 1, 160, 100, 5),
}


def holds(section: Any, expected: dict[str, Any]) -> None:
    assert {name: getattr(section, name) for name in expected} == expected


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    batch, high, low, stride, side, epochs, warmup = TRANSFORMERS[name]
    recipe = load_recipe(name)
    assert recipe.data.batch == batch
    rates = learning_rates(recipe, 1000)
    assert len(rates) == 1000 * epochs
    assert rates[0] == 0.0
    assert rates[1000 * warmup - 1] == rates[1000 * warmup] == rates.max() == pytest.approx(high)
    assert rates[-1] == pytest.approx(low, rel=1e-2)
    video = inputs_of(recipe).video
    assert video is not None
    holds(video, {"frames": 16, "stride": stride, "size": side, "channels": "rgb"})
    holds(video, {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)})
    (masked if "pretrain" in name else supervised)(recipe)


def masked(recipe: Recipe) -> None:
    """Multi-scale crops alone: nothing is mirrored."""
    assert recipe.pretext is not None
    holds(recipe.optimiser, MASKED)
    holds(recipe.augmentation, {"crop": "anchored", "crop_sizes": (1.0, 0.875, 0.75, 0.66), "flip": 0.0, "erase": 0.0})
    assert recipe.augmentation.rand.operations == 0
    assert recipe.pretext.options["mask_ratio"] == 0.9
    assert recipe.data.sampling.rule == "strides"
    assert recipe.model.arguments.get("drop_path", 0.0) == 0.0


def supervised(recipe: Recipe) -> None:
    """Everything that the three scripts of either system share."""
    assert recipe.task is not None
    holds(recipe.optimiser, FINETUNED)
    holds(recipe.mixing, {"mixup": 0.8, "cutmix": 1.0, "switch": 0.5})
    holds(recipe.augmentation.rand, {"operations": 4, "magnitude": 7.0, "deviation": 0.5})
    holds(recipe.augmentation, {"crop": "area", "crop_scale": (0.08, 1.0), "crop_ratio": (0.75, 1.3333), "flip": 0.5})
    holds(recipe.augmentation, {"erase": 0.25, "erase_scale": (0.02, 1 / 3), "rotate": 0, "brightness": 0.0})
    assert recipe.task.options == {"label_smoothing": 0.1, "init_scale": 0.001}
    assert recipe.model.arguments["drop_path"] == 0.1
    holds(recipe.data.sampling, {"rule": "stretched", "views": 2, "repeats": 1, "windows": 1})
    assert recipe.weights == "last"
    assert len(recipe.task.outputs) == {"dfew": 7, "ferv39k": 7, "mafw": 11}[recipe.data.corpus]


GREY = {"sewa": (0.421, 0.165), "msp-face": (0.493, 0.207), "recola": (0.2708, 0.1582)}


@pytest.mark.parametrize("name", [one.name for one in list_recipes("vaerr/train_*") if "synthetic" not in one.name])
def test_reactions_of_grey_faces(name: str) -> None:
    """AdamW without groups, four seconds three times per recording, the statistics of each corpus."""
    recipe = load_recipe(name)
    holds(recipe.optimiser, {"kind": "adamw", "lr": 3e-4, "weight_decay": 0.01, "decay": "all", "clip": None})
    assert recipe.data.batch == 5
    assert recipe.data.sampling.windows == 3
    video = inputs_of(recipe).video
    assert video is not None
    assert video.frames is not None
    assert video.fps is not None
    assert video.frames / video.fps == 4.0
    mean, deviation = GREY[recipe.data.corpus]
    holds(video, {"channels": "grey", "mean": (mean,), "std": (deviation,)})
    rates = learning_rates(recipe, 10)
    assert len(rates) == 200
    by_hand = [3e-4, 3e-4, *(3e-4 * 0.5 * (1 + np.cos(np.pi * epoch / 20)) for epoch in range(1, 19))]
    np.testing.assert_allclose(rates[::10], by_hand, rtol=1e-12)


@pytest.mark.parametrize("name", [one.name for one in list_recipes("avfusion/*_ravdess")])
def test_fusions(name: str) -> None:
    recipe = load_recipe(name)
    holds(recipe.optimiser, {"kind": "sgd", "lr": 0.04, "momentum": 0.9, "dampening": 0.9, "weight_decay": 1e-3})
    holds(recipe.optimiser, {"decay": "all", "clip": None, "base_batch": None})
    assert recipe.data.batch == 8
    holds(recipe.augmentation, {"flip": 0.5, "rotate": 10, "crop_scale": (1.0, 1.0), "erase": 0.0})
    assert recipe.modality_dropout.kind == name.split("_")[1]
    rates = learning_rates(recipe, 1)
    assert len(rates) == 100
    drops = {1: 0.04, 39: 0.04, 40: 4e-3, 54: 4e-3, 55: 4e-4, 65: 4e-5, 70: 4e-6, 100: 4e-6}
    np.testing.assert_allclose([rates[epoch - 1] for epoch in drops], list(drops.values()))
    assert set(recipe.data.protocol.test) == {"05", "10", "16", "19"}
    assert set(recipe.data.protocol.validation_subjects) == {"11", "13", "18", "22"}
    inputs = inputs_of(recipe)
    assert inputs.video is not None
    assert inputs.video.frames == 15
    # what EfficientFace's weights for AffectNet know, with which the header says to start
    assert inputs.video.mean == pytest.approx((0.55391484, 0.43522123, 0.3821877), abs=1e-4)
    assert inputs.video.std == pytest.approx((0.24837189, 0.21625527, 0.20221159), abs=1e-4)
    assert inputs.sound is not None
    holds(inputs.sound, {"rate": 22050, "features": "mfcc"})


@pytest.mark.parametrize("name", [one.name for one in list_recipes("viper/*_reaction")])
def test_perceivers(name: str) -> None:
    recipe = load_recipe(name)
    holds(recipe.optimiser, ADAMW | {"lr": 1e-5, "weight_decay": 0.01, "decay": "all"})
    assert recipe.data.batch == 16
    rates = learning_rates(recipe, 7)
    assert len(rates) == 50 * 7
    np.testing.assert_allclose(rates[[0, 69, 70, 139, 140, 349]], np.array([1, 1, 0.5, 0.5, 0.25, 0.0625]) * 1e-5)
    letters = {"v": "visual", "a": "audio", "t": "text", "f": "fau"}
    widths = {"visual": 768, "audio": 512, "text": 768, "fau": 32}  # 27 and five of zeros
    chosen = [letters[letter] for letter in name.split("_")[1]]
    streams = inputs_of(recipe).streams
    assert [stream.name for stream in streams] == chosen
    assert recipe.task is not None
    assert recipe.task.outputs == (
        "Adoration", "Amusement", "Anxiety", "Disgust", "Empathic-Pain", "Fear", "Surprise"
    )  # fmt: skip
    assert [stream.width for stream in streams] == [widths[name] for name in chosen]
