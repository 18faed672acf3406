"""BYOL, DINO and LiRA through the engine: they train encoders of both kinds, hand over, and go on bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.corpus import COMMON, make_recipe
from tests.training.test_resume import assert_goes_on_alike, kill_after

from mien.data.manifest import Manifest
from mien.training.fitting import fit
from mien.training.schema import Recipe

__all__ = ["kill_after"]

SIZE = {"frames": 8, "fps": 25.0, "size": 32}
CONVOLUTIONS = {"name": "vaerr_test", "arguments": {"widths": [8, 8, 8, 8]}}
TINY = {"frames": 8, "size": 32, "patch": 16, "dim": 32, "depth": 1, "heads": 2}
TRANSFORMER = {"name": "videomae_test", "arguments": TINY}
PRETEXTS: dict[str, dict[str, Any]] = {
    "byol": {"projection": 8, "hidden": 16, "momentum_end": 1.0},
    "dino": {"outputs": 16, "hidden": 16, "bottleneck": 8, "small_views": 2, "small_frames": 4, "small_size": 16},
    "lira": {"dim": 16, "heads": 2, "hidden": 16, "blocks": 1, "kernel": 3},
}


@pytest.fixture(scope="session")
def sounds(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Precomputed features of every clip, 100 a second."""
    folder = tmp_path_factory.mktemp("sounds")
    for id_ in Manifest.read(manifest).ids:
        np.save(folder / f"{id_}.npy", np.random.default_rng(int(id_, 16) % 2**32).normal(size=(50, 3)))
    return folder


def recipe_for(manifest: Path, kind: str, sounds: Path, model: dict[str, Any] = CONVOLUTIONS, **changes: Any) -> Recipe:
    options = PRETEXTS[kind] | ({"target": "folder", "source": str(sounds)} if kind == "lira" else {})
    values = COMMON | {
        "name": kind,
        "data": {"protocol": {"by": "all"}, "sampling": SIZE},
        "augmentation": {"brightness": 0.2},
        "model": model,
        "pretext": {"kind": kind, "options": options},
        "optimiser": {"lr": 1e-3, "kind": "sgd", "clip": 1.0, "clip_scope": "tensor", "weight_decay_end": 0.1},
        "schedule": {"epochs": 2},
    }
    return make_recipe(values, manifest, **changes)


@pytest.mark.parametrize("kind", PRETEXTS)
def test_cut_off_and_gone_on_with(kind: str, manifest: Path, sounds: Path, tmp_path: Path, kill_after: Any) -> None:
    recipe = recipe_for(manifest, kind, sounds, intervals={"checkpoint_steps": 2, "log_steps": 1})
    assert_goes_on_alike(recipe, tmp_path, kill_after, (3, 5))  # between checkpoints; over the end of an epoch


@pytest.mark.parametrize("kind", PRETEXTS)
def test_a_transformer_is_trained_alike_and_handed_over(
    kind: str, manifest: Path, sounds: Path, tmp_path: Path
) -> None:
    result = fit(recipe_for(manifest, kind, sounds, TRANSFORMER, schedule={"steps": 2}), tmp_path / "run")
    assert np.isfinite(result.loss)
    task = COMMON | {
        "name": "task",
        "data": {"sampling": SIZE},
        "model": TRANSFORMER | {"init": str(tmp_path / "run")},
        "task": {"kind": "classification", "outputs": ["right", "down"]},
        "optimiser": {"lr": 1e-3},
        "schedule": {"steps": 1},
    }
    assert fit(make_recipe(task, manifest), tmp_path / "task").steps == 1


def test_a_probe_is_logged_and_a_collapse_is_said(manifest: Path, sounds: Path, tmp_path: Path) -> None:
    # a teacher this warm gives every clip the same uniform target
    options = PRETEXTS["dino"] | {"teacher_temperature": 1e4, "warmup_temperature": 1e4}
    pretext = {"kind": "dino", "options": options, "probe": {"target": "label", "neighbours": 3}}
    recipe = recipe_for(manifest, "dino", sounds, pretext=pretext, intervals={"log_steps": 1})
    result = fit(recipe, tmp_path / "run")
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("collapsed: targets say nothing of their clip (target_entropy")
    train = (tmp_path / "run/logs/train.csv").read_text().splitlines()
    assert {"feature_std", "target_entropy", "collapsed"} <= set(train[0].split(","))
    collapsed = [line.split(",")[train[0].split(",").index("collapsed")] for line in train[1:]]
    assert collapsed[0] == "0.0"  # too early to say
    assert collapsed[-1] == "1.0"
    probed = (tmp_path / "run/logs/validation.csv").read_text().splitlines()
    assert probed[0] == "step,epoch,knn_uar,feature_std,n"
    assert len(probed) == 3
    assert 0 <= float(probed[-1].split(",")[2]) <= 1
