"""Choosing devices and precision, and what processes agree on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.training.corpus import MakeRecipe

from mien.errors import UsageError
from mien.training.fitting import fit
from mien.training.hardware import (
    choose_accelerator,
    choose_precision,
    computing,
    make_fabric,
    on_every_process,
    total,
)
from mien.training.schema import Hardware


def test_what_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_accelerator(Hardware(devices=2)) == "cuda"
    with pytest.raises(UsageError, match=r"hardware\.devices=4: this machine has 2 of cuda"):
        choose_accelerator(Hardware(accelerator="cuda", devices=4))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_accelerator(Hardware(devices=8)) == "cpu"
    with pytest.raises(UsageError, match="'cuda': this machine has none; use auto or cpu"):
        choose_accelerator(Hardware(accelerator="cuda"))


@pytest.mark.parametrize(
    ("wanted", "features", "chosen"),
    [
        ("auto", {"amx_bf16": True}, "bf16"),
        ("auto", {"avx512_bf16": True}, "bf16"),
        ("auto", {"avx2": True}, "fp32"),
        ("fp32", {"amx_bf16": True}, "fp32"),
        ("bf16", {}, "bf16"),
    ],
)
def test_precision(monkeypatch: pytest.MonkeyPatch, wanted: str, features: dict[str, bool], chosen: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert choose_precision(wanted, "cpu") == chosen


def test_one_process_agrees_with_itself() -> None:
    fabric = make_fabric(Hardware(accelerator="cpu"), "fp32")
    assert total(fabric, [1.0, 2.0]) == [1.0, 2.0]
    assert on_every_process(fabric, lambda: 3) == 3

    def fail() -> None:
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        on_every_process(fabric, fail)


def test_a_process_that_comes_up_when_the_first_one_is_gone_ends_too() -> None:
    first = subprocess.Popen([sys.executable, "-c", ""])
    first.wait()
    code = "import time; from types import SimpleNamespace; from mien.training.hardware import launch; "
    code += "launch(SimpleNamespace(launch=lambda: time.sleep(120)))"  # as one waits for the others
    environment = os.environ | {"MIEN_FIRST_PROCESS": str(first.pid)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 1


def test_bf16_keeps_weights_and_loss_in_float32(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    weights = {}
    for precision in ("fp32", "bf16"):
        recipe = task_recipe(precision=precision, model={"name": "videomae_test"}, schedule={"epochs": 1})
        result = fit(recipe, tmp_path / precision)
        assert result.precision == precision
        weights[precision] = load_file(Path(result.bundle) / "model.safetensors")
    assert {tensor.dtype for tensor in weights["bf16"].values()} == {torch.float32}
    differences = [(weights["fp32"][name] - weights["bf16"][name]).abs().max() for name in weights["fp32"]]
    assert 0 < max(differences) < 0.01


def test_threads_are_chosen_for_a_while_only() -> None:
    before = torch.get_num_threads()
    with computing(torch.device("cpu"), before + 2):
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before
    with computing(torch.device("cpu")):
        assert torch.get_num_threads() == before
