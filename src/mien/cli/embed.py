"""``mien embed``: encoder features of videos over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mien.cli.options import Device, Precision
from mien.cli.recordings import (
    AsJson,
    Batch,
    Csv,
    DetectorFile,
    Hop,
    Model,
    Out,
    Parquet,
    Step,
    Threads,
    Videos,
    forms,
    run,
    settings_of,
)

app = typer.Typer(add_completion=False)


@app.command()
def embed(
    videos: Videos,
    model: Model,
    out: Out = Path("."),
    csv: Csv = False,
    as_json: AsJson = False,
    parquet: Parquet = False,
    features: Annotated[
        Literal["pooled", "frames"], typer.Option(help="Features of whole windows, or of moments within them.")
    ] = "pooled",
    step: Step = None,
    hop: Hop = None,
    detector: DetectorFile = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    batch: Batch = None,
    threads: Threads = None,
) -> None:
    """Write the encoder's features of every face over time, columns f0, f1, ...

    Files are called <name>.features.csv and so on; the table (CSV) is written where no form is named.

    Example: mien embed talk.mp4 --model runs/mine/bundle --out features --parquet
    """
    from mien.inference import embed as read

    formats = forms({"csv": csv, "json": as_json, "parquet": parquet}, ["csv"])
    settings = settings_of(step, hop, detector, device, precision, batch, threads, features=features)
    run(videos, model, out, formats, read, settings, as_json)
