"""Whether recipes hold what they promise as far as that can be seen without data: they load, and their models build."""

from __future__ import annotations

from typing import Any

import torch

from mien.errors import MienError
from mien.training.experiment import build_objective, inputs_of
from mien.training.recipe import list_recipes, load_recipe


def check_shipped(pattern: str = "*") -> list[dict[str, Any]]:
    """Load every shipped recipe that matches and build what it trains without memory for weights.

    Returns:
        ``name``, ``model`` and number of trained ``parameters`` of each.

    Raises:
        MienError: a recipe is broken; the line names it.
    """
    rows = []
    for listed in list_recipes(pattern):
        recipe = load_recipe(listed.name)
        try:
            with torch.device("meta"):
                objective, _ = build_objective(recipe, inputs_of(recipe))
        except MienError as error:
            raise type(error)(f"recipe {listed.name}: {error}") from error
        count = sum(parameter.numel() for parameter in objective.parameters() if parameter.requires_grad)
        rows.append({"name": listed.name, "model": recipe.model.name, "parameters": count})
    return rows
