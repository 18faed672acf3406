"""``mien explain``: where and when a model looked."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import AsJson, Device
from mien.cli.progress import progress_bar
from mien.cli.recordings import Batch, DetectorFile, Hop, Model, Threads
from mien.files import check_writable

if TYPE_CHECKING:
    from mien.explanation.reader import Method

app = typer.Typer(add_completion=False)


class _Method(StrEnum):
    gradients = "gradients"
    rollout = "rollout"
    occlusion = "occlusion"


@app.command()
def explain(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A recording.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder for the results; made if need be.")] = Path("."),
    method: Annotated[
        list[_Method] | None,
        typer.Option(help="gradients (any model), rollout (transformers), occlusion (slow); may be repeated."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Class or value to explain. Default: the most probable class, or the first value."),
    ] = None,
    hop: Hop = None,
    detector: DetectorFile = None,
    device: Device = "auto",
    batch: Batch = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Show where and when a model looked: a heat map in the video (with its sound), a sheet of pictures, a table.

    gradients: what every pixel adds to the answer. rollout: what attention lets through, whatever the answer is.
    occlusion: what the answer loses when places, parts of the face, moments and modalities are hidden. A model of
    feature streams tells what each stream and stretch of time brings.

    Example: mien explain talk.mp4 --model runs/mine/bundle --method occlusion --out why
    """
    from mien.checkpoints.bundle import load
    from mien.explanation.explain import explain as find
    from mien.explanation.explain import explain_streams
    from mien.inference import PredictSettings
    from mien.inference.streams import takes_streams_alone
    from mien.media import check_named

    check_named(video)
    settings = PredictSettings(hop=hop, detector=detector, device=device, batch=batch, threads=threads)
    bundle = load(model)
    if takes_streams_alone(bundle):
        typer.echo(json.dumps(explain_streams(video, bundle, output, settings), indent=1))
        return
    check_writable(out, "--out")
    told = []
    for one in dict.fromkeys(method or [_Method.gradients]):
        chosen: Method = one.value
        with progress_bar(f"{video.name}, {chosen}", hidden=as_json) as progress:
            found = find(video, bundle, chosen, output, settings, progress)
        with progress_bar("drawing", hidden=as_json) as progress:
            paths = found.write(out, video.stem, progress)
        told.append(found.summary() | {"files": {kind: str(path) for kind, path in paths.items()}})
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    for summary in told:
        _print(summary)


def _print(summary: dict[str, Any]) -> None:
    typer.echo(f"{summary['method']}: {summary['explained']}, mean answer {_said(summary['answer'])}")
    if classes := summary.get("classes"):
        typer.echo(f"  explained: {', '.join(f'{name} {share:.0%}' for name, share in classes.items())} of the time")
    losses = {name: value for name, value in summary.items() if name.startswith(("part ", "modality "))}
    if losses:
        typer.echo("  change of the answer when hidden (below 0: the model went by it)")
    for name, value in losses.items():
        typer.echo(f"  without {name.partition(' ')[2]:16} {_said(None if value is None else -value, '+')}")
    typer.echo(f"  → {', '.join(summary['files'].values())}")


def _said(value: float | None, sign: str = "") -> str:
    return "undefined" if value is None else f"{value:{sign}.3f}"
