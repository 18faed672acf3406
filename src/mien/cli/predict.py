"""``mien predict``: read apparent emotion from videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Device, Precision
from mien.cli.published import obtain_published
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
def predict(
    videos: Videos,
    model: Model,
    out: Out = Path("."),
    csv: Csv = False,
    as_json: AsJson = False,
    parquet: Parquet = False,
    eaf: Annotated[bool, typer.Option("--eaf", help="Write <name>.eaf for ELAN.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Write <name>.html: a report with curves per face.")] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help="Write <name>.overlay.mp4: boxes, sound.")] = False,
    circumplex: Annotated[
        bool, typer.Option("--circumplex", help="Write <name>.circumplex.mp4: picture beside the plane, sound.")
    ] = False,
    thumbnails: Annotated[bool, typer.Option("--thumbnails", help="Small pictures of faces in the report.")] = False,
    step: Step = None,
    hop: Hop = None,
    detector: DetectorFile = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    batch: Batch = None,
    threads: Threads = None,
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Abstain below this probability; default: what the bundle says.")
    ] = None,
    least_face: Annotated[float, typer.Option(min=0, help="Abstain from faces of fewer pixels.")] = 32,
    least_light: Annotated[float, typer.Option(min=0, max=255, help="Abstain below this mean brightness.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Download what a published model needs without asking.")] = False,
) -> None:
    """Read apparent emotion from videos: every face is followed, and a timeline is written per recording.

    Without a form named, the table (CSV) and the report (HTML) are written. Nothing leaves this machine, and no picture
    of a face is kept unless --thumbnails, --overlay or --circumplex asks for it. A published model by name (viper-va)
    is explained, and downloaded once you agree. The column abstain says where the model should not be asked, and why.

    Example: mien predict talk.mp4 --model runs/mine/bundle --out results --html --overlay
    """
    from mien.extraction.published import is_published
    from mien.inference import predict as read

    chosen = {"csv": csv, "json": as_json, "parquet": parquet, "eaf": eaf, "html": html or thumbnails}
    formats = forms(chosen | {"overlay": overlay, "circumplex": circumplex}, ["csv", "html"])
    limits = {"confidence": confidence, "least_face": least_face, "least_light": least_light}
    settings = settings_of(step, hop, detector, device, precision, batch, threads, **limits)
    if is_published(model):
        model = obtain_published(model, yes)
    run(videos, model, out, formats, read, settings, as_json, thumbnails)
