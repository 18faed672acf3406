"""``mien models``: what is registered."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mien.cli.options import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def models(
    pattern: Annotated[str, typer.Argument(help="Shell pattern; an exact name shows all about it.")] = "*",
    as_json: AsJson = False,
) -> None:
    """List registered models.

    Example: mien models "*base*"
    """
    from mien.errors import UsageError
    from mien.models import default_inputs, describe, list_models

    names = list_models(pattern)
    if not names:
        raise UsageError(f"no registered model matches {pattern!r}; `mien models` lists all")
    if as_json:
        rows = [
            {"name": name, "about": describe(name), "inputs": default_inputs(name).model_dump(mode="json")}
            for name in names
        ]
        typer.echo(json.dumps(rows, indent=2))
    elif names == [pattern]:
        typer.echo(f"{pattern}\n\n{describe(pattern)}\n\n{default_inputs(pattern).model_dump_json(indent=2)}")
    else:
        width = max(map(len, names))
        for name in names:
            about = describe(name).strip().partition("\n")[0]
            typer.echo(f"{name:<{width}}  {about}")
