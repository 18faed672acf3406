"""``mien calibrate``: make a bundle's confidence mean what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import AsJson, Batch, Device, Precision, Streams, Views, Workers

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    source: Annotated[
        str, typer.Argument(metavar="RUN_OR_BUNDLE", help="Folder of a run or bundle; changed in place.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Manifest whose validation clips are used. Default: the run's.")
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(min=0.01, max=1.0, help="Abstain from the least sure: answer this share of validation clips."),
    ] = None,
    views: Views = 2,
    batch: Batch = 8,
    workers: Workers = 2,
    device: Device = "auto",
    precision: Precision = "fp32",
    streams: Streams = None,
    as_json: AsJson = False,
) -> None:
    """Fit a temperature and the limits of trust on validation clips, and store them in the bundle.

    Probabilities then mean what they say, and mien predict abstains from faces unlike those of training and, with
    --coverage, from the least sure answers. Weights stay as they are; so does the most probable class of a view.

    Example: mien calibrate runs/mine --coverage 0.9
    """
    from mien.evaluation.assess import EvaluationSettings
    from mien.evaluation.calibrating import calibrate as fit

    settings = EvaluationSettings(
        views=views, batch=batch, workers=workers, device=device, precision=precision, streams=streams
    )
    found = fit(source, data, coverage, settings)
    limits = found.calibration
    if as_json:
        summary = {
            "bundle": str(found.bundle),
            "clips": found.clips,
            "answers": found.answers,
            "temperature": found.temperature,
            "before": found.before,
            "after": found.after,
            "confidence": limits.confidence,
            "limit": limits.limit,
            "answered": found.answered,
        }
        typer.echo(json.dumps(summary, indent=1))
        return
    frames = f", {found.answers} frames" if found.answers != found.clips else ""
    typer.echo(f"{found.bundle}: fitted on {found.clips} validation clips{frames}")
    if found.temperature is None:
        typer.echo("no temperature: the task gives values, not probabilities")
    else:
        typer.echo(f"temperature {found.temperature:.3f}")
        for name, title in (("nll", "negative log-likelihood"), ("ece", "expected calibration error")):
            typer.echo(f"  {title} on them {found.before[name]:.3f} → {found.after[name]:.3f}")
    if limits.confidence is not None:
        typer.echo(f"abstains below a confidence of {limits.confidence:.3f}: answers {found.answered:.0%} of them")
    typer.echo(f"out of distribution: features more than {limits.limit:.3g} spreads from those of training")
