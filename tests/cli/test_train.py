"""``mien pretrain`` and ``mien train`` as real processes: output, refusals, signals, kills, several processes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.training.corpus import PRETEXT, TASK, make_recipe, write_corpus
from tests.waiting import runs, soon

from mien.errors import UsageError
from mien.lock import refuse_if_held

MIEN = Path(sys.executable).with_name("mien")
RecipeFile = Callable[..., str]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def recipe_file(manifest: Path, tmp_path: Path) -> RecipeFile:
    """Writes a small recipe for ``mien train`` or ``mien pretrain``; arguments replace whole sections."""

    def write(verb: str = "train", **changes: Any) -> str:
        recipe = make_recipe(TASK if verb == "train" else PRETEXT, manifest, **changes)
        path = tmp_path / f"{verb}.yaml"
        path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        return str(path)

    return write


def mien(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MIEN, *arguments], capture_output=True, text=True, cwd=cwd, check=False)


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([MIEN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)


def wait_for(process: subprocess.Popen[str], run: Path, step: int) -> None:
    """Until the run has logged that many steps, or ended."""
    log = run / "logs" / "train.csv"
    while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > step):
        time.sleep(0.01)


def signalled(number: signal.Signals, step: int, run: Path, *command: str, later: float = 0.0) -> tuple[int, str]:
    """Exit code and last words of a command to which a signal comes ``later`` seconds after that step of its run.

    Where it has finished by then, as it may on a busy machine, it begins anew.
    """
    while True:
        process = start(*command, "--run", run.name, cwd=run.parent)
        wait_for(process, run, step)
        time.sleep(later)
        process.send_signal(number)
        _, stderr = process.communicate()
        if process.returncode != 0:
            return process.returncode, stderr
        shutil.rmtree(run)


def different(one: Path, two: Path) -> list[str]:
    """Names of tensors that differ between two files."""
    left, right = load_file(one), load_file(two)
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]


def test_train_prints_json_and_refuses_to_run_over_it(
    recipe_file: RecipeFile, tmp_path: Path, here: Callable[..., Any]
) -> None:
    command = ["train", recipe_file(), "schedule.epochs=1", "--run", "run"]
    code, out, err = here(*command, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["steps"], result["stage"]) == (4, "fine-tuning")
    assert (tmp_path / result["bundle"] / "model.safetensors").exists()
    code, _, err = here(*command)
    assert code == 2
    assert err.strip() == "mien: run is not empty; add --resume to go on with it, or choose another --run"
    for again in ([*command, "--resume"], ["train", "--run", "run", "--resume"]):
        code, out, err = here(*again)
        assert code == 0, err
        assert "bundle: run/bundle" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "nothing/here"], 2, "no recipe is called 'nothing/here'"),
        (
            ["train", "RECIPE", "optimiser.lrr=1"],
            2,
            "optimiser.lrr is not a key; did you mean optimiser.lr?",
        ),
        (["train", "--run", "nowhere", "--resume"], 2, "there is no run to go on with"),
        (["train", "data.batch=2"], 2, "no recipe is given"),
        (["pretrain", "RECIPE"], 2, "is a recipe for fine-tuning; run: mien train"),
        (["train", "RECIPE", "data.manifest=gone.csv"], 2, "gone.csv"),
        (["train", "RECIPE", "optimiser.lr=1e30", "optimiser.clip=null"], 1, " at step "),
    ],
)
def test_mistakes_are_one_line(
    recipe_file: RecipeFile, here: Callable[..., Any], arguments: list[str], code: int, message: str
) -> None:
    recipe = recipe_file()
    found, _, err = here(*(recipe if argument == "RECIPE" else argument for argument in arguments))
    lines = [line for line in err.strip().splitlines() if not line.startswith("epoch ")]
    assert found == code, err
    assert len(lines) == 1, err
    assert lines[0].startswith("mien: ")
    assert message in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_loaders_too_ends_as_clearly(
    recipe_file: RecipeFile, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """A terminal's ctrl-C and a cluster's SIGTERM reach every process of the group."""
    recipe = recipe_file(data={"workers": 2}, schedule={"epochs": 100}, intervals={"log_steps": 1})
    command = [MIEN, "train", recipe, "--run", "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True)
    wait_for(process, tmp_path / "run", 5)
    os.killpg(process.pid, number)
    _, stderr = process.communicate()
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert stderr.strip().splitlines()[-1].startswith(f"mien: stopped by {number.name} after step ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_stop_it_leaves_a_checkpoint(
    recipe_file: RecipeFile, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    recipe = recipe_file(schedule={"epochs": 100}, intervals={"log_steps": 1})
    found, stderr = signalled(number, 5, tmp_path / "run", "train", recipe)
    assert found == code, stderr
    last = stderr.strip().splitlines()[-1]
    assert last.startswith(f"mien: stopped by {number.name} after step ")
    assert last.endswith("go on with: mien train --run run --resume")
    assert (tmp_path / "run/checkpoints/last.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["train", "pretrain"])
def test_killed_five_times_the_weights_are_the_same(recipe_file: RecipeFile, tmp_path: Path, verb: str) -> None:
    data = {"workers": 1} | ({"protocol": {"by": "all"}} if verb == "pretrain" else {})
    schedule = {"epochs": 12 if verb == "train" else 8}  # 48 steps both
    recipe = recipe_file(verb, data=data, schedule=schedule, intervals={"checkpoint_steps": 3, "log_steps": 1})
    whole = mien(verb, recipe, "--run", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    draw = random.Random(verb)
    for step in sorted(draw.sample(range(1, 44), 5)):
        later = draw.uniform(0, 0.05)
        code, said = signalled(signal.SIGKILL, step, tmp_path / "cut", verb, recipe, "--resume", later=later)
        assert code == -signal.SIGKILL, said
    done = mien(verb, recipe, "--run", "cut", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("checkpoints/last.safetensors", "bundle/model.safetensors"):
        assert different(tmp_path / "whole" / name, tmp_path / "cut" / name) == []


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["train", "pretrain"])
def test_two_processes_do_the_work_of_one(recipe_file: RecipeFile, tmp_path: Path, verb: str) -> None:
    recipe = recipe_file(verb, model={"name": "videomae_test"})  # without drop path, which processes draw differently
    for devices in (1, 2):
        done = mien(verb, recipe, f"hardware.devices={devices}", "--run", f"on{devices}", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["devices"] == devices
    one, two = (json.loads((tmp_path / f"on{number}/metrics.json").read_text()) for number in (1, 2))
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
    assert (two["steps"], two["clips"]) == (one["steps"], one["clips"])
    assert two["validation"] == one["validation"]
    left, right = (load_file(tmp_path / f"on{number}/bundle/model.safetensors") for number in (1, 2))
    for name in left:
        torch.testing.assert_close(left[name], right[name], atol=2e-5, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_resume_and_stop_as_one(recipe_file: RecipeFile, tmp_path: Path) -> None:
    recipe = recipe_file(schedule={"epochs": 10}, intervals={"log_steps": 1, "checkpoint_steps": 2})
    on_two = ["train", recipe, "hardware.devices=2", "--resume"]
    whole = mien(*on_two, "--run", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    code, stderr = signalled(signal.SIGTERM, 7, tmp_path / "cut", *on_two)
    assert code == 143, stderr
    assert "Traceback" not in stderr
    done = mien(*on_two, "hardware.recompute=true", "--run", "cut", cwd=tmp_path)  # which changes no bit
    assert done.returncode == 0, done.stderr
    name = "checkpoints/last.safetensors"
    assert different(tmp_path / "whole" / name, tmp_path / "cut" / name) == []


@pytest.mark.slow
def test_two_processes_fail_with_one_line(recipe_file: RecipeFile, tmp_path: Path) -> None:
    done = mien("train", recipe_file(), "hardware.devices=2", "data.manifest=gone.csv", "--run", "run", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("mien: ")]) == 1
    assert "Traceback" not in done.stderr


def test_recipes_are_listed_shown_and_checked(here: Callable[..., Any]) -> None:
    _, out, _ = here("recipes", "videomae/*synthetic", "--json")
    names = [recipe["name"] for recipe in json.loads(out)]
    assert {"videomae/pretrain_synthetic", "videomae/finetune_synthetic"} <= set(names)
    _, out, _ = here("recipes", "show", names[0])
    assert out.startswith("# Command:")
    code, out, err = here("recipes", "check", "svfap/*dfew")
    assert code == 0, err
    assert "svfap_base, 77.6 M parameters; one step of svfap_test: loss " in out
    _, out, _ = here("recipes", "show", "svfap/finetune_dfew", "--resolved")
    assert "  layer_decay: 0.75\n" in out
    code, _, err = here("recipes", "nothing/*")
    assert (code, err) == (2, "mien: no recipe matches 'nothing/*'; mien recipes lists all\n")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_folds_end_with_their_killed_parent_and_go_on_alike(recipe_file: RecipeFile, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"protocol": {"by": "subject", "fold": 0, "folds": 2}, "workers": 1}
    recipe = recipe_file(data=changes, schedule={"epochs": 40}, intervals={"log_steps": 1, "checkpoint_steps": 4})
    command = ("train", recipe, "--folds", "0", "--run")
    process = start(*command, "cut", cwd=tmp_path)
    fold = tmp_path / "cut" / "fold-0"
    wait_for(process, fold, 6)
    child = int((fold / ".lock").read_text().split()[1])
    for holder, run in ((process.pid, fold.parent), (child, fold)):
        with pytest.raises(UsageError, match=f"is being written by process {holder} on "):
            refuse_if_held(run)
    process.kill()
    process.communicate()
    assert soon(lambda: not runs(child))
    assert not (fold / "metrics.json").exists()
    resumed, whole = mien(*command, "cut", "--resume", cwd=tmp_path), mien(*command, "whole", cwd=tmp_path)
    assert (resumed.returncode, whole.returncode) == (0, 0), resumed.stderr
    for name in ("checkpoints/last.safetensors", "bundle/model.safetensors"):
        assert different(fold / name, tmp_path / "whole" / "fold-0" / name) == []
    assert (fold / "evaluation/test/predictions.csv").read_bytes() == (
        tmp_path / "whole" / "fold-0" / "evaluation/test/predictions.csv"
    ).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_why_a_fold_failed_stands_where_the_message_says(recipe_file: RecipeFile, tmp_path: Path, jobs: int) -> None:
    changes: dict[str, Any] = {"protocol": {"by": "subject", "fold": 0, "folds": 2}}
    recipe = recipe_file(data=changes, model={"name": "videomae_test", "init": "nowhere"})
    failed = mien("train", recipe, "--folds", "0", "--jobs", str(jobs), "--run", "cv", cwd=tmp_path)
    why, last = "nowhere does not exist", failed.stderr.strip().splitlines()[-1]
    log = (tmp_path / "cv" / "fold-0.log").read_text()
    assert failed.returncode == 1
    assert last.startswith("mien: fold 0: mien train ended with exit code 2 (")
    assert (why in log, why in last, "see cv/fold-0.log" in last) == ((jobs == 2,) * 3)
    assert ("see above" in last, len(failed.stderr.strip().splitlines())) == (jobs == 1, 3 - jobs)
