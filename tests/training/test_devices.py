"""Every system, pretext and task on another device than the processor: nothing stays behind, and a step waits once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.pretended import CUDA, DEVICE, fabric, moved, pretended, pretended_cuda

from mien.data.finish import finish
from mien.models.registry import list_models
from mien.pretext import PRETEXTS
from mien.tasks import TASKS
from mien.training.recipe import check_recipe, load_recipe
from mien.training.rehearsal import Stage, one_step, staged
from mien.training.schema import Hardware, Recipe
from mien.training.stepper import Stepper

StageOf = Callable[[str], Stage]
FETCH = "training/hardware.py:fetch"
# What nobody knows before the device has answered: which clips have a modality (others stay out of its branch), which
# frames are labelled (the published terms are made of them alone), how long clips are (recurrent layers pack them).
KNOWN_LATE = {
    "models/branches.py:first",
    "tasks/binned.py:loss",
    "tasks/recurrent.py:_steps_of",
    "training/modality_dropout.py:drop_modalities",
}
WITHOUT_FLOAT64 = {"nn/device.py:exactly", "tasks/binned.py:_told"}  # the processor computes what needs it
RECIPES = {
    "masked_autoencoder": "maedfer/pretrain_voxceleb2",
    "byol": "vaerr/pretrain_byol_synthetic",
    "dino": "vaerr/pretrain_dino_synthetic",
    "lira": "vaerr/pretrain_lira_synthetic",
    "binned": "vaerr/train_recola_scratch",
    "classification": "videomae/finetune_dfew",
    "dimensions": "videomae/affect_synthetic",
    "intensities": "viper/train_va_reaction",
    "traits": "svfap/finetune_first_impressions",
}
OTHERS = ("avfusion/ia_softhard_ravdess", "avfusion/train_synthetic")
SHORT = {"vaerr/train_recola_scratch": ["data.sampling.frames=4"]}
QUICK = ("videomae_test", "viper_test", "videomae/finetune_dfew", RECIPES["byol"], RECIPES["lira"])
CASES = [*list_models("*_test"), *RECIPES.values(), *OTHERS]
MARKED = [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]


def recipe_of(case: str) -> Recipe:
    """A shipped recipe, or fine-tuning of a model with all that a step can have."""
    if "/" in case:
        return load_recipe(case, SHORT.get(case, []))
    values: dict[str, Any] = {
        "data": {"manifest": "made up", "batch": 4},
        "model": {"name": case},
        "task": {"kind": "classification", "outputs": ["a", "b"], "options": {"class_weights": "balanced"}},
        "optimiser": {"lr": 1e-3, "layer_decay": 0.75, "ema": 0.9, "clip": 1.0, "accumulate": 2},
        "schedule": {"epochs": 1},
    }
    return check_recipe({"name": case, **values}, case)


@pytest.fixture(scope="module")
def stage_of(tmp_path_factory: pytest.TempPathFactory) -> StageOf:
    """Stages by case, made once; the module is a copy."""
    folder = tmp_path_factory.mktemp("devices")
    made: dict[str, Stage] = {}

    def stage(case: str) -> Stage:
        if case not in made:
            made[case] = staged(recipe_of(case), folder)
        experiment = replace(made[case].experiment, objective=copy.deepcopy(made[case].experiment.objective))
        return replace(made[case], experiment=experiment)

    return stage


def test_the_device_has_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(monkeypatch), pytest.raises(AssertionError, match="float64"):
        torch.zeros(2, dtype=torch.float64).to(DEVICE)


def test_every_pretext_and_task_is_here() -> None:
    assert RECIPES.keys() == PRETEXTS.keys() | TASKS.keys()


@pytest.mark.parametrize("case", MARKED)
def test_a_step_waits_once(case: str, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_of(case)
    with pretended(monkeypatch) as waits:
        moved(stage.experiment.objective, DEVICE)
        stepper = Stepper(stage.experiment, fabric())
        waits.places.clear()
        one_step(stepper, stage)
    assert {place: waits.places[place] for place in waits.places.keys() - KNOWN_LATE - WITHOUT_FLOAT64} == {FETCH: 1}


def test_blocks_compute_anew_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of("videomae_test").model_copy(update={"hardware": Hardware(recompute=True)})
    stage = staged(recipe, tmp_path)
    with pretended(monkeypatch) as waits:
        moved(stage.experiment.objective, DEVICE)
        stepper = Stepper(stage.experiment, fabric())
        waits.places.clear()
        one_step(stepper, stage)
    assert waits.places == {FETCH: 1}


@pytest.mark.parametrize("case", [case for case in MARKED if case.values != (RECIPES["binned"],)])  # fake GRUs fail
def test_losses_stay_exact_under_autocast(case: str, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_of(case)
    with pretended_cuda(monkeypatch), torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        objective = moved(stage.experiment.objective, CUDA)
        batch = finish(stage.data.parts[0].tensors, stage.experiment.train.inputs.video, CUDA)
        loss, extra = objective.train()(batch)
    assert {value.device for value in (loss, *extra.values())} == {CUDA}
    assert loss.dtype in (torch.float32, torch.float64)
