"""Recipes and the fit loop. Names are loaded when first used: reading a recipe needs no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Recipe": "mien.training.schema",
    "RunResult": "mien.training.run",
    "fit": "mien.training.fitting",
    "list_recipes": "mien.training.recipe",
    "load_recipe": "mien.training.recipe",
}

__all__ = ["Recipe", "RunResult", "fit", "list_recipes", "load_recipe"]

if TYPE_CHECKING:
    from mien.training.fitting import fit
    from mien.training.recipe import list_recipes, load_recipe
    from mien.training.run import RunResult
    from mien.training.schema import Recipe


if not TYPE_CHECKING:  # checkers shall know names that are not there

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'mien.training' has no attribute {name!r}")
        return getattr(import_module(_PUBLIC[name]), name)
