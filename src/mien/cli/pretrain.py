"""``mien pretrain``."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.fitting import fit_recipe

app = typer.Typer(add_completion=False)


@app.command()
def pretrain(
    recipe: str = typer.Argument(
        default=None, help="Name of a shipped recipe (mien recipes lists them) or a YAML file; --resume needs none."
    ),
    overrides: list[str] = typer.Argument(default=None, metavar="[KEY=VALUE]...", help="Changes to the recipe."),
    run: Path = typer.Option(None, help="Folder of the run; default: runs/ and the recipe's name."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in that folder from its last checkpoint."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON, no progress."),
) -> None:
    """Pretrain an encoder without labels, as a recipe says.

    Example: mien pretrain videomae/pretrain_synthetic schedule.epochs=20 --run r; mien pretrain --run r --resume
    """
    fit_recipe("pretraining", recipe, overrides or [], run, resume, as_json)
