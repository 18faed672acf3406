"""Cross-validation: one run per fold, each in its own folder and process, resumable one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from mien.data.manifest import Manifest
from mien.data.protocol import folds, round_names
from mien.data.settings import FOLDED
from mien.errors import MienError, UsageError
from mien.evaluation.folds import Folds, aggregate
from mien.files import complete
from mien.lock import alone, entries, refuse_if_held
from mien.training.hardware import choose_accelerator
from mien.training.recipe import dump_recipe
from mien.training.schema import Recipe


def fold_recipes(recipe: Recipe, wanted: Sequence[str] = ()) -> dict[str, Recipe]:
    """The recipe of every fold, by the fold that tests.

    Args:
        recipe: its protocol divides by ``fold``, ``subject``, ``leave_one_out``, ``corpus`` or ``random``; where one
            fold validates, it is the one after the fold that tests.
        wanted: folds (people, corpora) to train; empty: all.

    Raises:
        UsageError: the recipe has no folds, or not those that are wanted.
    """
    settings = recipe.data.protocol
    if settings.by not in FOLDED:
        raise UsageError(
            f"data.protocol.by={settings.by!r} has no folds; set data.protocol.by=fold (column fold), subject, "
            "leave_one_out or corpus"
        )
    known = folds(Manifest.read(recipe.data.manifest), settings)
    strange = [name for name in wanted if name not in known]
    if strange:
        raise UsageError(f"fold {strange[0]!r} is not one of {', '.join(known)}")
    recipes = {}
    for number, name in enumerate(known):
        if wanted and name not in wanted:
            continue
        changes: dict[str, object] = {"fold": name}
        if settings.validation_fold is not None:
            changes["validation_fold"] = known[(number + 1) % len(known)]
        protocol = type(settings).model_validate(settings.model_dump() | changes)
        recipes[name] = recipe.model_copy(update={"data": recipe.data.model_copy(update={"protocol": protocol})})
    return recipes


def cross_validate(
    recipe: Recipe,
    folder: Path | str,
    wanted: Sequence[str] = (),
    jobs: int = 1,
    resume: bool = False,
    quiet: bool = False,
) -> Folds:
    """Train and test every fold, then put the results together.

    A fold that is finished is not done again, one that was stopped goes on from its last checkpoint. Folds end with
    this process, also when it is killed.

    Args:
        recipe: as ``fold_recipes`` takes it.
        folder: gets ``fold-<name>/`` (a run with its ``evaluation/test``), ``crossvalidation.json`` and a report.
        wanted: folds; empty: all.
        jobs: folds at a time; on CUDA each has a device of its own.
        resume: go on with what is in the folder.
        quiet: show no progress of the folds (several at a time always write to ``fold-<name>.log``).

    Raises:
        UsageError: the folder is in use, by another process too, or the recipe has no folds.
        MienError: a fold failed; the others are finished first.
    """
    recipes, folder = fold_recipes(recipe, wanted), Path(folder)
    if not resume and entries(folder):
        refuse_if_held(folder)
        raise UsageError(f"{folder} is not empty; add --resume to go on with it, or choose another --run")
    if recipe.hardware.nodes > 1:
        raise UsageError("folds run on one machine; with hardware.nodes train them one by one (data.protocol.fold=...)")
    with alone(folder):
        return _run(recipes, folder, jobs, quiet or jobs > 1)


def _run(recipes: Mapping[str, Recipe], folder: Path, jobs: int, quiet: bool) -> Folds:
    devices: SimpleQueue[int] = SimpleQueue()
    for slot in range(jobs):
        devices.put(slot)
    names = round_names(recipes)
    for fold, one in recipes.items():
        with complete(folder / f"fold-{names[fold]}.yaml") as part:
            part.write_text(dump_recipe(one, f"Fold {fold} of a cross-validation."), "utf-8")

    def run(fold: str) -> str | None:
        slot = devices.get()
        try:
            return _fold(recipes[fold], folder, names[fold], slot if jobs > 1 else None, quiet)
        finally:
            devices.put(slot)

    with ThreadPoolExecutor(jobs) as pool:
        problems = [problem for problem in pool.map(run, recipes) if problem]
    if problems:
        raise MienError(f"{problems[0]}; go on with --resume when it is mended")
    return aggregate([folder / f"fold-{name}" / "evaluation" / "test" for name in names.values()], folder)


def _fold(recipe: Recipe, folder: Path, name: str, slot: int | None, quiet: bool) -> str | None:
    """Train and test one fold in processes of their own; returns what went wrong."""
    run = folder / f"fold-{name}"
    environment = dict(os.environ)
    if slot is not None and choose_accelerator(recipe.hardware) == "cuda":
        first = slot * recipe.hardware.devices
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(first + n) for n in range(recipe.hardware.devices))
    accelerator = recipe.hardware.accelerator
    train = ["train", str(folder / f"fold-{name}.yaml"), "--run", str(run), "--resume"]
    test = ["evaluate", str(run), "--data", recipe.data.manifest, "--views", str(recipe.data.sampling.views)]
    test += ["--workers", str(recipe.data.workers), "--device", "auto" if accelerator == "auto" else accelerator]
    test += ["--published"] if recipe.data.protocol.published else []
    commands = [train] if (run / "evaluation" / "test" / "metrics.json").exists() else [train, test]
    for words in commands:
        log = folder / f"fold-{name}.log"
        with log.open("ab") as file:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "mien.cli.child", *words],  # -P: a user's av.py is not PyAV
                env=environment,
                stdin=subprocess.PIPE,  # closes when this process is no more, and with it the child ends
                stdout=file,
                stderr=file if quiet else None,
            )
            with child:
                code = child.wait()
        if code:
            return f"fold {name}: mien {words[0]} ended with exit code {code} ({_said(log) if quiet else 'see above'})"
    return None


def _said(log: Path) -> str:
    """The last line of a log, which says why, and where the rest is."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"{lines[-1].strip()}; see {log}" if lines else f"see {log}"
