"""``mien pretrain``."""

from __future__ import annotations

import typer

from mien.cli.fitting import Overrides, Recipe, Resume, RunFolder, fit_recipe
from mien.cli.options import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def pretrain(
    recipe: Recipe = None,
    overrides: Overrides = None,
    run: RunFolder = None,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Pretrain an encoder without labels, as a recipe says.

    Example: mien pretrain videomae/pretrain_synthetic schedule.epochs=20 --run r; mien pretrain --run r --resume
    """
    fit_recipe("pretraining", recipe, overrides or [], run, resume, as_json)
