"""Whether recipes hold what they promise as far as that can be seen without their corpora."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from mien.errors import MienError
from mien.training.experiment import build_objective, inputs_of
from mien.training.recipe import list_recipes, load_recipe
from mien.training.rehearsal import rehearse


def check_shipped(pattern: str = "*") -> list[dict[str, Any]]:
    """Load every shipped recipe that matches, build what it trains without memory for weights, and rehearse it.

    Returns:
        ``name``, ``model`` and number of trained ``parameters`` of each; ``twin``, the small model that took one step
        of it on noise (see ``mien.training.rehearsal``), and the ``loss`` of that step.

    Raises:
        MienError: a recipe is broken; the line names it.
    """
    rows = []
    with TemporaryDirectory(prefix="mien-check-") as folder:
        for listed in list_recipes(pattern):
            recipe = load_recipe(listed.name)
            try:
                with torch.device("meta"):
                    objective, _ = build_objective(recipe, inputs_of(recipe))
                rehearsal = rehearse(recipe, Path(folder))
            except MienError as error:
                raise type(error)(f"recipe {listed.name}: {error}") from error
            count = sum(parameter.numel() for parameter in objective.parameters() if parameter.requires_grad)
            rows.append(
                {
                    "name": listed.name,
                    "model": recipe.model.name,
                    "parameters": count,
                    "twin": rehearsal.model,
                    "loss": rehearsal.loss,
                }
            )
    return rows
