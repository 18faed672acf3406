"""``mien train``."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.fitting import Overrides, Recipe, Resume, RunFolder, fit_folds, fit_recipe
from mien.cli.options import AsJson
from mien.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def train(
    recipe: Recipe = None,
    overrides: Overrides = None,
    run: RunFolder = None,
    resume: Resume = False,
    folds: Annotated[
        str | None, typer.Option(help="Cross-validate: all, or folds with commas (0,2); each is a run of its own.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Folds at a time, with --folds; on CUDA each takes devices of its own.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model for a task, as a recipe says.

    Example: mien train videomae/finetune_synthetic optimiser.lr=5e-4 --run r; mien train --run r --resume
    """
    if folds is None and jobs > 1:
        raise UsageError(f"--jobs {jobs}: only folds are trained side by side; add --folds all")
    if folds is None:
        fit_recipe("fine-tuning", recipe, overrides or [], run, resume, as_json)
    else:
        fit_folds(recipe, overrides or [], run, folds, jobs, resume, as_json)
