"""``mien train``."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.fitting import fit_folds, fit_recipe

app = typer.Typer(add_completion=False)


@app.command()
def train(
    recipe: str = typer.Argument(
        default=None, help="Name of a shipped recipe (mien recipes lists them) or a YAML file; --resume needs none."
    ),
    overrides: list[str] = typer.Argument(default=None, metavar="[KEY=VALUE]...", help="Changes to the recipe."),
    run: Path = typer.Option(None, help="Folder of the run; default: runs/ and the recipe's name."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in that folder from its last checkpoint."),
    folds: str | None = typer.Option(
        None, help="Cross-validate: all, or folds with commas (0,2); each is a run of its own."
    ),
    jobs: int = typer.Option(1, min=1, help="Folds at a time, with --folds; on CUDA each takes devices of its own."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON, no progress."),
) -> None:
    """Fine-tune a model for a task, as a recipe says.

    Example: mien train videomae/finetune_synthetic optimiser.lr=5e-4 --run r; mien train --run r --resume
    """
    if folds is None:
        fit_recipe("fine-tuning", recipe, overrides or [], run, resume, as_json)
    else:
        fit_folds(recipe, overrides or [], run, folds, jobs, resume, as_json)
