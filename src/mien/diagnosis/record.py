"""What a run's folder tells: recipe, protocol, logs, why it broke off, and the weights before and after training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.errors import MienError, UsageError
from mien.models.specification import Inputs
from mien.tasks import Task
from mien.training.experiment import build_objective, inputs_of, seed_for, start_from
from mien.training.objective import Objective
from mien.training.recipe import load_recipe
from mien.training.run import Run, RunResult
from mien.training.schema import Recipe
from mien.training.state import peek_state, read_tensors


@dataclass(frozen=True)
class RunRecord:
    """A run as it was left, finished or not.

    Attributes:
        run: its folder.
        recipe: as resolved when it began.
        protocol: which clips trained, validated and tested.
        manifest: the corpus; None where the table is not there any more.
        train, validation: logged rows by step; empty where nothing was logged.
        failure: ``step`` and ``reason`` where it broke off.
        result: figures of a finished run.
        unreadable: reason by id of clips that could not be read.
    """

    run: Run
    recipe: Recipe
    protocol: Protocol
    manifest: Manifest | None
    train: pd.DataFrame
    validation: pd.DataFrame
    failure: dict[str, Any] | None
    result: RunResult | None
    unreadable: dict[str, str]

    @classmethod
    def read(cls, folder: Path | str) -> RunRecord:
        """Read a run's folder.

        Raises:
            UsageError: it is not the folder of a run.
        """
        run = Run(folder)
        if not run.recipe.is_file() or not run.protocol.is_file():
            raise UsageError(f"{folder} is no run: it lacks recipe.yaml or protocol.json; give a folder of mien train")
        recipe = load_recipe(run.recipe)
        manifest = Manifest.read(recipe.data.manifest) if Path(recipe.data.manifest).is_file() else None
        failure = json.loads(run.failure.read_text("utf-8")) if run.failure.is_file() else None
        unreadable = peek_state(run.last).unreadable if run.last.is_file() else {}
        return cls(
            run,
            recipe,
            Protocol.read(run.protocol),
            manifest,
            _rows(run.logs / "train.csv"),
            _rows(run.logs / "validation.csv"),
            failure,
            run.result(),
            unreadable,
        )

    @cached_property
    def inputs(self) -> Inputs:
        """How the model is fed."""
        return inputs_of(self.recipe)

    def start(self) -> tuple[Objective, Task | None]:
        """The objective with the weights that training began with, and its task.

        Raises:
            MienError: what it was initialised from is not there any more.
        """
        torch.manual_seed(seed_for(self.recipe.seed, "weights"))
        objective, task = build_objective(self.recipe, self.inputs)
        if self.recipe.model.init:
            start_from(self.recipe.model.init, objective.encoder, self.recipe.model.name)
        return objective, task

    def trained(self) -> dict[str, Tensor] | None:
        """Weights by name as training left them; None before the first checkpoint."""
        if not self.run.last.is_file():
            return None
        tensors, _ = read_tensors(self.run.last)
        return {name.removeprefix("model/"): one for name, one in tensors.items() if name.startswith("model/")}

    def movement(self) -> float | None:
        """How far training moved the weights: median over matrices of |after - before| / |before|.

        None where the start cannot be had any more, or nothing was checkpointed.
        """
        after = self.trained()
        if after is None:
            return None
        try:
            before = dict(self.start()[0].trained.named_parameters())
        except MienError:  # what it started from is gone
            return None
        matrices = {name: one.detach() for name, one in before.items() if one.ndim > 1 and one.requires_grad}
        ratios = [
            float((after[name] - one).norm() / one.norm())
            for name, one in matrices.items()
            if name in after and float(one.norm()) > 0
        ]
        return float(torch.tensor(ratios).median()) if ratios else None


def _rows(path: Path) -> pd.DataFrame:
    """A log as numbers; a last row that a kill cut short is left out."""
    if not path.is_file() or path.stat().st_size == 0:
        return pd.DataFrame()
    rows = pd.read_csv(path).apply(pd.to_numeric, errors="coerce")
    return rows.dropna(subset=["step", "loss"] if "loss" in rows else ["step"])
