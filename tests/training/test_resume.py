"""A run that was cut off anywhere goes on to the very same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.training.corpus import MakeRecipe

from mien.data.protocol import Protocol
from mien.errors import MienError
from mien.training.fitting import fit
from mien.training.schema import Recipe
from mien.training.stepper import Stepper


class Killed(BaseException):
    """Nothing in the loop may catch it."""


@pytest.fixture
def kill_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``kill_after(n)`` ends training in the middle of the n-th step from now, after its weights were changed."""
    real, left = Stepper.take, [10**9]

    def take(self: Stepper, *arguments: Any) -> Any:
        left[0] -= 1
        outcome = real(self, *arguments)
        if left[0] == 0:
            raise Killed
        return outcome

    def after(steps: int) -> None:
        left[0] = steps

    monkeypatch.setattr(Stepper, "take", take)
    return after


def assert_same_files(one: Path, two: Path) -> None:
    for name in ("checkpoints/last.safetensors", "bundle/model.safetensors"):
        left, right = load_file(one / name), load_file(two / name)
        assert left.keys() == right.keys()
        different = [key for key in left if not torch.equal(left[key], right[key])]
        assert not different, f"{name}: {different[:5]}"


def assert_goes_on_alike(recipe: Recipe, folder: Path, kill_after: Any, kills: tuple[int, ...]) -> None:
    """A run that was killed after so many steps, each time anew, ends as one that never was."""
    fit(recipe, folder / "whole")
    for steps in kills:
        kill_after(steps)
        with pytest.raises(Killed):
            fit(recipe, folder / "cut", resume=True)
    kill_after(10**9)
    fit(recipe, folder / "cut", resume=True)
    assert_same_files(folder / "whole", folder / "cut")


@pytest.mark.parametrize("stage", ["task_recipe", "pretext_recipe"])
@pytest.mark.parametrize("workers", [0, 2])
def test_cut_off_in_any_epoch(
    stage: str, workers: int, request: pytest.FixtureRequest, tmp_path: Path, kill_after: Any
) -> None:
    recipe: Recipe = request.getfixturevalue(stage)(intervals={"checkpoint_steps": 2})
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"workers": workers})})
    # before any checkpoint; mid-epoch; at the end of an epoch; between checkpoints
    assert_goes_on_alike(recipe, tmp_path, kill_after, (1, 4, 6, 3))


def test_killed_as_it_begins(task_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise Killed

    recipe = task_recipe(schedule={"epochs": 1})
    with monkeypatch.context() as while_written:
        while_written.setattr(Protocol, "write", killed)
        with pytest.raises(Killed):
            fit(recipe, tmp_path / "run")
    assert fit(recipe, tmp_path / "run", resume=True).steps == 4


def test_mixing_and_accumulation_go_on_alike(task_recipe: MakeRecipe, tmp_path: Path, kill_after: Any) -> None:
    recipe = task_recipe(
        mixing={"mixup": 0.8, "cutmix": 1.0},
        optimiser={"lr": 1e-3, "accumulate": 2, "ema": 0.9},
        intervals={"checkpoint_steps": 1},
    )
    fit(recipe, tmp_path / "whole")
    kill_after(7)
    with pytest.raises(Killed):
        fit(recipe, tmp_path / "cut")
    fit(recipe, tmp_path / "cut", resume=True)
    assert_same_files(tmp_path / "whole", tmp_path / "cut")


def test_logs_hold_every_step_once(task_recipe: MakeRecipe, tmp_path: Path, kill_after: Any) -> None:
    recipe = task_recipe(intervals={"checkpoint_steps": 3, "log_steps": 1})
    kill_after(8)
    with pytest.raises(Killed):
        fit(recipe, tmp_path / "run")
    fit(recipe, tmp_path / "run", resume=True)
    steps = [line.split(",")[0] for line in (tmp_path / "run/logs/train.csv").read_text().splitlines()]
    assert steps == ["step", *map(str, range(1, 13))]


def test_settings_that_change_nothing_may_change(task_recipe: MakeRecipe, tmp_path: Path, kill_after: Any) -> None:
    kill_after(5)
    with pytest.raises(Killed):
        fit(task_recipe(intervals={"checkpoint_steps": 2}), tmp_path / "run")
    fit(task_recipe(intervals={"checkpoint_steps": 5}), tmp_path / "run", resume=True)


def test_a_damaged_checkpoint_is_one_clear_line(task_recipe: MakeRecipe, tmp_path: Path, kill_after: Any) -> None:
    kill_after(5)
    recipe = task_recipe(intervals={"checkpoint_steps": 2})
    with pytest.raises(Killed):
        fit(recipe, tmp_path / "run")
    path = tmp_path / "run/checkpoints/last.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(MienError, match=r"last\.safetensors cannot be read") as caught:
        fit(recipe, tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value)


def test_changed_data_are_refused(own_corpus: Path, task_recipe: MakeRecipe, tmp_path: Path, kill_after: Any) -> None:
    recipe = task_recipe(data={"manifest": str(own_corpus)}, intervals={"checkpoint_steps": 2})
    kill_after(5)
    with pytest.raises(Killed):
        fit(recipe, tmp_path / "run")
    own_corpus.write_text("\n".join(own_corpus.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(MienError, match="has changed since"):
        fit(recipe, tmp_path / "run", resume=True)
