"""Errors of torch in the middle of a step: one line that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.corpus import MakeRecipe

from mien.errors import MienError
from mien.training.batches import Part
from mien.training.fitting import fit
from mien.training.schema import Hardware
from mien.training.stepper import Stepper, weigh
from mien.training.trouble import in_plain_words

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


def test_a_run_out_of_memory_goes_on_with_smaller_parts(
    task_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, most = Stepper._backward, [4]

    def backward(self: Stepper, parts: Any, clips: float, number: int) -> Any:
        if number >= 3 and max(map(len, parts)) > most[0] // 2:
            raise FULL
        return real(self, parts, clips, number)

    monkeypatch.setattr(Stepper, "_backward", backward)
    with pytest.raises(MienError) as caught:
        fit(task_recipe(intervals={"checkpoint_steps": 1}), tmp_path / "run")
    assert str(caught.value) == (
        "out of memory (2.00 GiB more were asked for) after step 3, with 4 clips at once; set optimiser.accumulate=2 "
        "(2 at once, the gradient stays that of all) or hardware.recompute=true (blocks compute anew what the backward "
        "pass needs), then --resume"
    )
    optimiser = task_recipe().optimiser.model_copy(update={"accumulate": 2})
    recipe = task_recipe(intervals={"checkpoint_steps": 1}).model_copy(update={"optimiser": optimiser})
    assert fit(recipe, tmp_path / "run", resume=True).steps == 12


def test_one_clip_at_once_cannot_be_halved(task_recipe: MakeRecipe) -> None:
    recipe = task_recipe(optimiser={"lr": 1e-3, "accumulate": 4})
    line = str(in_plain_words(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), recipe, 0, 1))
    assert line.startswith("out of memory after step 0, with 1 clip at once; use more devices, precision=bf16, ")
    full = RuntimeError("CUDA error: out of memory")
    assert "at once; set hardware.recompute=true (blocks" in str(in_plain_words(full, recipe, 0, 1, blocks=2))
    recomputing = recipe.model_copy(update={"hardware": Hardware(recompute=True)})
    assert "at once; use more devices" in str(in_plain_words(full, recomputing, 0, 1, blocks=2))


def test_processes_that_could_not_read_their_clips_take_part_with_weight_0() -> None:
    first, second, before = (Part((str(at),), {}) for at in range(3))
    assert weigh((first, second), None, 1) == [(first, 1.0), (second, 1.0)]
    assert weigh((first,), first, 3) == [(first, 1.0), (first, 0.0), (first, 0.0)]
    assert weigh((), before, 1) == [(before, 0.0)]
    with pytest.raises(MienError, match="none of the first clips could be read"):
        weigh((), None, 2)


def test_faults_of_the_program_are_not_explained_away(task_recipe: MakeRecipe) -> None:
    recipe, lost = task_recipe(), RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    assert in_plain_words(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), recipe, 5, 2) is None
    assert in_plain_words(lost, recipe, 5, 1) is None
    assert "another process of this run was lost" in str(in_plain_words(lost, recipe, 5, 2))
