"""``mien extract``: feature streams of a corpus into one store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import AsJson, Device
from mien.cli.progress import progress_bar
from mien.files import check_file

app = typer.Typer(add_completion=False)


@app.command()
def extract(
    data: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Manifest (CSV or Parquet), or data_info.csv.")],
    features: Annotated[
        str,
        typer.Option(help="name=kind:source, separated by commas; bare visual, audio, text, fau as published."),
    ] = "visual,audio,text,fau",
    out: Annotated[
        Path | None, typer.Option(help="Store to write or add to. Default: streams.safetensors beside the manifest.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Clips worked on side by side.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Pictures or windows per forward pass.")] = 32,
    device: Device = "auto",
    steps: Annotated[int, typer.Option(min=1, help="Moments per clip; published models take 32.")] = 32,
    as_json: AsJson = False,
) -> None:
    """Extract feature streams of every clip. Killed and called again, it goes on where it stopped.

    Kinds: bundle:FOLDER (any encoder of mien), logmel, mfcc, vit:, wavlm:, clip:CLIP+ROBERTA (folder or hub id),
    pyfeat, openface:FOLDER, pyfeat-csv:FOLDER, folder:FOLDER (.pt or .npy per clip).

    Example: mien extract corpus/manifest.csv --features visual=bundle:runs/mine,audio=mfcc
    """
    from mien.data.manifest import Manifest
    from mien.data.streams import STORE
    from mien.extraction.contract import parse_requests
    from mien.extraction.extract import extract as run
    from mien.extraction.kinds import make_extractor
    from mien.models.device import device_named

    requests = parse_requests(features)
    manifest = Manifest.read(data)
    store = out or manifest.root / STORE
    check_file(store, "--out")
    extractors = {one.name: make_extractor(one, str(device_named(device)), batch) for one in requests}
    with progress_bar(data.name, hidden=as_json) as progress:
        report = run(manifest, extractors, store, jobs, steps, progress)
    failed = {name: len(by_clip) for name, by_clip in report.failures.items()}
    if as_json:
        streams = {name: one.model_dump() for name, one in report.streams.items()}
        summary = {"store": str(report.store), "clips": report.clips, "streams": streams}
        typer.echo(json.dumps(summary | {"failures": report.failures}, indent=1))
        return
    for name, one in sorted(report.streams.items()):
        missing = f", {failed[name]} clips without" if name in failed else ""
        typer.echo(f"{name}: {one.steps} steps of {one.width} values by {one.extractor}{missing}")
        if name in failed:
            typer.echo(f"  the first: {next(iter(report.failures[name].values()))}")
    typer.echo(f"{report.store}: {report.clips} clips")
