"""``mien convert``: published checkpoints ↔ bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import AsJson, names

if TYPE_CHECKING:
    from mien.checkpoints.conversion import Conversion

app = typer.Typer(add_completion=False)


@app.command()
def convert(
    system: Annotated[str, typer.Argument(help="Which system's format, for example videomae.")],
    source: Annotated[str, typer.Argument(help="Published checkpoint; with --to-published a bundle.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write; with --to-published a .safetensors file.")],
    classes: Annotated[str | None, typer.Option(help="Names of the outputs in order, separated by commas.")] = None,
    task: Annotated[str, typer.Option(help="What the head predicts: classification or dimensions.")] = "classification",
    size: Annotated[int | None, typer.Option(min=16, help="Side of the pictures in pixels.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames per clip.")] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="Take every n-th frame.")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads, for unpublished widths.")] = None,
    licence: Annotated[str, typer.Option(help="Terms of these weights, for the model card.")] = "",
    seen: Annotated[
        str | None,
        typer.Option(
            help="Corpora that the weights were trained on, in that order, with commas; unknown for what is not known. "
            "The last one of a fine-tuned checkpoint is that of fine-tuning."
        ),
    ] = None,
    entry: Annotated[str | None, typer.Option(help="Entry of the checkpoint to take, for example model_ema.")] = None,
    to_published: Annotated[bool, typer.Option("--to-published", help="From a bundle to published names.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a published checkpoint to a bundle, or back. The file is read as inert data and never executed.

    What the weights have seen goes to the ledger of the bundle and on to every model that starts from it.

    Example: mien convert maedfer checkpoint.pth --out bundles/dfew --size 160 --seen voxceleb2,dfew
    """
    from mien.checkpoints.conversion import Settings, export
    from mien.checkpoints.conversion import convert as convert_file

    if to_published:
        count = export(system, source, out)
        typer.echo(json.dumps({"file": str(out), "tensors": count}) if as_json else f"{out}: {count} tensors")
        return
    settings = Settings(
        outputs=names(classes) or None,
        task=task,
        size=size,
        frames=frames,
        stride=stride,
        heads=heads,
        licence=licence,
        seen=names(seen) or None,
        entry=entry,
    )
    done = convert_file(system, Path(source), out, settings)
    if as_json:
        report = {"bundle": str(done.folder), "model": done.plan.model, "form": done.plan.form}
        ledger = [entry.model_dump() for entry in done.ledger]
        typer.echo(json.dumps(report | {"ledger": ledger, "carried": done.carried, "dropped": done.dropped}, indent=2))
    else:
        _print(done)


def _print(done: Conversion) -> None:
    from mien.models.specification import UNKNOWN_CORPUS

    typer.echo(f"{done.folder}: {done.plan.model} from a {done.plan.form} checkpoint")
    typer.echo(f"{len(done.carried)} tensors carried, {len(done.dropped)} dropped")
    if done.dropped:
        parts = sorted({name.split(".")[0] for name in done.dropped})
        typer.echo(f"dropped, since a bundle holds the encoder alone: {', '.join(parts)}")
    typer.echo(f"ledger: {', '.join(f'{entry.corpus} ({entry.stage})' for entry in done.ledger)}")
    if any(entry.corpus == UNKNOWN_CORPUS for entry in done.ledger):
        typer.echo("every evaluation will say so; name with --seen what you know of these weights' training")
