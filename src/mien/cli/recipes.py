"""``mien recipes``."""

from __future__ import annotations

import json

import typer

from mien.cli.options import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def recipes(
    what: str = typer.Argument("*", metavar="PATTERN|show|check", help="Which recipes to list, or an action."),
    name: str = typer.Argument("", metavar="NAME", help="show: the recipe; check: pattern, default all."),
    resolved: bool = typer.Option(
        False, "--resolved", help="show: with bases and defaults written out, as always with --json."
    ),
    as_json: AsJson = False,
) -> None:
    """List the recipes that ship with mien, show one, or check all: load, build, and train a tiny twin for a step.

    Example: mien recipes 'videomae/*'; mien recipes show videomae/finetune_synthetic; mien recipes check
    """
    from mien.errors import UsageError
    from mien.training.recipe import list_recipes

    if what == "show":
        if not name:
            raise UsageError("mien recipes show needs the name of a recipe; mien recipes lists them")
        _show(name, resolved, as_json)
        return
    if what == "check":
        _check(name or "*", as_json)
        return
    found = list_recipes(what)
    if as_json:
        typer.echo(json.dumps([{"name": recipe.name, **recipe.header} for recipe in found]))
        return
    if not found:
        raise UsageError(f"no recipe matches {what!r}; mien recipes lists all")
    width = max(len(recipe.name) for recipe in found)
    for recipe in found:
        typer.echo(f"{recipe.name:<{width}}  {recipe.header.get('Expected', '')}")


def _show(name: str, resolved: bool, as_json: bool) -> None:
    from mien.training.recipe import dump_recipe, load_recipe, recipe_text

    if as_json:
        typer.echo(json.dumps(load_recipe(name).model_dump(mode="json"), indent=1))
    else:
        typer.echo(dump_recipe(load_recipe(name), f"{name}, resolved") if resolved else recipe_text(name), nl=False)


def _check(pattern: str, as_json: bool) -> None:
    from mien.errors import UsageError
    from mien.training.checking import check_shipped

    rows = check_shipped(pattern)
    if not rows:
        raise UsageError(f"no recipe matches {pattern!r}; mien recipes lists all")
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(
            f"ok  {row['name']}: {row['model']}, {row['parameters'] / 1e6:.1f} M parameters; "
            f"one step of {row['twin']}: loss {row['loss']:.4g}"
        )
