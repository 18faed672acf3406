"""``mien prepare``: raw videos → face clips and a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from mien.cli.progress import progress_bar

Engine = Literal["processes", "ray"]

app = typer.Typer(add_completion=False)


@app.command()
def prepare(
    inputs: Annotated[
        list[str], typer.Argument(help="Videos, folders, manifests (CSV or Parquet), or the copy of a --corpus.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for clips, manifest and report.")],
    faces: Annotated[
        str, typer.Option(help="main: one clip per input; all: every face; auto: main for labelled manifests.")
    ] = "auto",
    size: Annotated[int, typer.Option(help="Side of the clips in pixels.")] = 160,
    margin: Annotated[float, typer.Option(help="Border around the face as a share of its longer side.")] = 0.25,
    align: Annotated[str, typer.Option(help="none: upright pictures; eyes: turn the eyes level.")] = "none",
    smoothing: Annotated[float, typer.Option(help="Smoothing of the crop's path in seconds.")] = 0.2,
    window: Annotated[
        str | None,
        typer.Option(help="left,top,side: cut this square, look for no faces (VoxCeleb2: 32,0,160)."),
    ] = None,
    min_seconds: Annotated[float, typer.Option(help="Pass over faces that stay for less (not for main).")] = 0.5,
    min_face: Annotated[int | None, typer.Option(help="Smallest face to look for, in pixels.")] = None,
    gop: Annotated[int, typer.Option(help="Pictures from one that decodes alone to the next; 8: half the size.")] = 1,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Processes; all processor cores by default.")] = None,
    corpus: Annotated[
        str | None, typer.Option(help="The input is a copy of this public corpus (see mien corpora).")
    ] = None,
    choose: Annotated[list[str] | None, typer.Option(help="How to take the corpus, name=value; repeatable.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Go on although listed clips are missing.")] = False,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="With --corpus: manifest and protocols only, nothing is cut.")
    ] = False,
    engine: Annotated[Engine, typer.Option(help="processes: on this machine; ray: on a Ray cluster.")] = "processes",
    address: Annotated[
        str | None,
        typer.Option(help="The Ray cluster: auto, HOST:6379 or ray://HOST:10001; none: one on this machine."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, no progress bar.")] = False,
) -> None:
    """Cut faces out of raw videos: small MP4 clips with sound, and a manifest to train on.

    Started again with the same folder it goes on where it was stopped. Inputs that cannot be read are listed in
    report.csv with the reason.

    With --corpus the official lists say what there should be: what is missing, extra or different is told, and
    manifest and protocols carry the official ids, labels and folds. Official face crops are used as they are.

    Over several machines, inputs and output folder must be the same files for all of them.

    Example: mien prepare recordings/ --out data/faces

    Example: mien prepare --corpus dfew DFEW/ --out data/dfew
    """
    from mien.cli.official import read_copy, tell
    from mien.data.prepare import prepare as prepare_clips
    from mien.data.settings import PrepareSettings
    from mien.errors import UsageError

    if address is not None and engine != "ray":
        raise UsageError(f"--address {address}: only a Ray cluster has an address; add --engine ray")
    choices = {
        "crop": {"size": size, "margin": margin, "align": align, "smoothing": smoothing},
        "faces": faces,
        "window": window.split(",") if window is not None else None,
        "min_seconds": min_seconds,
        "min_face": min_face,
        "gop": gop,
    }
    try:
        settings = PrepareSettings.model_validate(choices)
    except ValidationError as error:
        problem = error.errors()[0]
        option = [part for part in problem["loc"] if isinstance(part, str)][-1].replace("_", "-")
        raise UsageError(f"--{option} {problem['input']}: {problem['msg'].lower()}") from None
    copy = read_copy(corpus, inputs, out, choose or [], partial, as_is, as_json) if corpus else None
    if copy is not None and copy.cropped:
        tell(copy, out, as_json)
        return
    inputs = [str(copy.manifest)] if copy is not None else inputs
    with progress_bar("preparing", hidden=as_json) as progress:
        report = prepare_clips(inputs, out, settings, jobs, progress, engine, address)
    if copy is not None:
        tell(copy, out, as_json)
    if as_json:
        if copy is None:
            typer.echo(json.dumps({"manifest": str(report.manifest), **report.summary()}, indent=1))
        return
    typer.echo(f"{report.clips} clip(s) of {len(report.records)} input(s): {report.manifest}")
    for status, text in (("no face", "show no face"), ("failed", "could not be read")):
        if found := report.with_status(status):
            typer.echo(f"{len(found)} {text}, for example {found[0].reason or found[0].source}: {out / 'report.csv'}")
