"""Recipes' tiny twins: what cannot run does not pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.errors import MienError
from mien.training.recipe import list_recipes, load_recipe
from mien.training.rehearsal import rehearse, tiny_model, twin_of
from mien.training.schema import Recipe

ALL = [listed.name for listed in list_recipes()]
# one of every kind of model, pretext, task, level and protocol
KINDS = [
    "avfusion/ia_softhard_ravdess",
    "maedfer/pretrain_voxceleb2",
    "maedfer_ca/finetune_ferv39k_add_pos",
    "svfap/finetune_avcaffe_arousal",
    "svfap/finetune_first_impressions",
    "svfap/finetune_werewolf_xl",
    "vaerr/train_recola_scratch",
    "videomae/finetune_dfew",
    "viper/train_va_reaction",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsal")


@pytest.mark.parametrize("name", KINDS)
def test_a_step_is_taken(name: str, folder: Path) -> None:
    recipe = load_recipe(name)
    rehearsal = rehearse(recipe, folder)
    assert rehearsal.model == tiny_model(recipe.model.name)
    assert rehearsal.loss > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in KINDS])
def test_every_other_recipe_takes_a_step(name: str, folder: Path) -> None:
    assert rehearse(load_recipe(name), folder).loss > 0


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("maedfer/pretrain_voxceleb2", "pretext.options.group=3", "cannot be cut into groups of 3"),
        ("svfap/pretrain_voxceleb2", "data.sampling={fps: 10, rule: strides}", "give data.sampling.stride"),
        ("svfap/finetune_werewolf_xl", "data.balanced=true", "needs a task with classes"),
    ],
)
def test_a_recipe_that_builds_but_cannot_run_is_refused(name: str, override: str, message: str, folder: Path) -> None:
    with pytest.raises(MienError, match=message):
        rehearse(load_recipe(name, [override]), folder)


def test_a_twin_keeps_everything_but_size(folder: Path) -> None:
    recipe = load_recipe("svfap/finetune_mafw", ["optimiser.accumulate=8", "model.arguments.dim=384"])
    twin = twin_of(recipe, folder / "manifest.csv")
    assert twin.model.name == "svfap_test"
    assert twin.model.arguments == {"drop_path": 0.1}
    assert twin.optimiser == recipe.optimiser.model_copy(update={"accumulate": 2})
    for section in ("augmentation", "mixing", "task", "schedule", "weights"):
        assert getattr(twin, section) == getattr(recipe, section)
    assert twin.data.protocol == recipe.data.protocol


@pytest.mark.parametrize(
    ("name", "tiny"),
    [
        ("svfap_base", "svfap_test"),
        ("maedfer_ca_add_4x5x10", "maedfer_ca_test"),
        ("maedfer_small", "maedfer_test"),
        ("viper_vatf", "viper_test"),
        ("vaerr_test", "vaerr_test"),
        ("nothing_like_it", "nothing_like_it"),
    ],
)
def test_the_smallest_of_a_family(name: str, tiny: str) -> None:
    assert tiny_model(name) == tiny


def published(name: str, **sections: Any) -> Recipe:
    recipe = load_recipe(name)
    for section, values in sections.items():
        found = getattr(recipe, section).model_dump()
        assert {key: found[key] for key in values} == values, name
    return recipe


def test_published_settings_stand_in_the_recipes() -> None:
    """Numbers of the published scripts, written down again from the specifications."""
    recipe = published(
        "svfap/finetune_ferv39k",
        optimiser={"lr": 1e-3, "min_lr": 1e-6, "base_batch": 256, "weight_decay": 0.05, "layer_decay": 0.75},
        schedule={"epochs": 100, "warmup_epochs": 5},
        mixing={"mixup": 0.8, "cutmix": 1.0, "switch": 0.5},
    )
    assert (recipe.data.batch, recipe.data.sampling.stride, recipe.data.sampling.rule) == (64, 1, "stretched")
    assert recipe.task is not None
    assert recipe.task.options == {"label_smoothing": 0.1, "init_scale": 0.001}
    assert [load_recipe(f"maedfer/finetune_{name}").data.batch for name in ("dfew", "ferv39k", "mafw")] == [96, 120, 96]
    recipe = published("maedfer_ca/finetune_ferv39k_cat", optimiser={"lr": 1e-3}, data={"batch": 16})
    assert recipe.data.sampling.stride == 1
    recipe = published(
        "maedfer/pretrain_voxceleb2",
        optimiser={"lr": 3e-4, "min_lr": 1e-5, "betas": (0.9, 0.95), "layer_decay": None},
        augmentation={"crop": "anchored", "flip": 0.0, "crop_sizes": (1.0, 0.875, 0.75, 0.66)},
        schedule={"epochs": 100, "warmup_epochs": 5},
    )
    assert recipe.pretext is not None
    assert recipe.pretext.options == {"mask_ratio": 0.9, "mask": "region", "target": "motion"}
    outputs = load_recipe("svfap/finetune_first_impressions").task
    assert outputs is not None
    assert [name[0] for name in outputs.outputs] == list("ocean")
