"""``mien bundle``: look at, check, publish and fetch bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import AsJson, Batch, Device, Precision, Workers

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Show, verify, smooth, push and pull bundles.")

Source = Annotated[str, typer.Argument(help="Bundle folder, run, or hub id owner/name[@revision].")]


@app.command()
def show(source: Source, as_json: AsJson = False) -> None:
    """What a bundle reads and says, and where it comes from.

    Example: mien bundle show mien-demo/bundle
    """
    from mien.checkpoints.bundle import locate
    from mien.checkpoints.files import CARD, read_specification

    folder = locate(source)
    specification = read_specification(folder)
    card = folder / CARD
    if as_json or not card.is_file():
        typer.echo(specification.model_dump_json(indent=2))
    else:
        typer.echo(card.read_text(encoding="utf-8").partition("---\n\n")[2])


@app.command()
def verify(source: Source, as_json: AsJson = False) -> None:
    """Load a bundle strictly, check its weights and run it once; exit code 1 where a check fails.

    Example: mien bundle verify mien-demo/bundle
    """
    from mien.checkpoints.verification import verify as verify_bundle

    checks = verify_bundle(source)
    if as_json:
        typer.echo(json.dumps([{"check": c.name, "ok": c.ok, "found": c.found} for c in checks], indent=2))
    else:
        for check in checks:
            typer.echo(f"{'ok    ' if check.ok else 'FAILED'}  {check.name}: {check.found}")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def smooth(
    source: Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="Folder of a run or bundle.")],
    data: Annotated[Path, typer.Option(help="Manifest with the validation clips.")],
    batch: Batch = 8,
    workers: Workers = 2,
    device: Device = "auto",
    precision: Precision = "fp32",
    as_json: AsJson = False,
) -> None:
    """Fit time shift, median filter, centring and scaling of values per frame on validation clips; store them.

    Evaluation and prediction with the bundle take these steps from then on. A step with which the validation
    clips agree no better is left out.

    Example: mien bundle smooth runs/vaerr_sewa --data sewa/manifest.csv
    """
    from mien.evaluation.assess import EvaluationSettings
    from mien.evaluation.courses import fit_smoothing

    settings = EvaluationSettings(batch=batch, workers=workers, device=device, precision=precision)
    specification = fit_smoothing(source, data, settings)
    if as_json:
        typer.echo(json.dumps([step.model_dump() for step in specification.smoothing]))
    else:
        typer.echo(specification.smoothing_text())


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="Bundle folder.")],
    repository: Annotated[str, typer.Argument(help="owner/name on the hub; made if need be.")],
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public (else private).")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a bundle to a model hub.

    Example: mien bundle push runs/dfew-fold1/bundle me/dfew-fold1
    """
    from mien.checkpoints.hub import push as push_bundle

    commit = push_bundle(folder, repository, private=not public)
    typer.echo(json.dumps({"commit": commit}) if as_json else commit)


@app.command()
def pull(
    hub_id: Annotated[str, typer.Argument(help="owner/name or owner/name@revision.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; left out, the hub's cache.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download a bundle from a model hub.

    Example: mien bundle pull me/dfew-fold1 --out bundles/dfew-fold1
    """
    from mien.checkpoints.hub import pull as pull_bundle

    folder = pull_bundle(hub_id, out)
    typer.echo(json.dumps({"bundle": str(folder)}) if as_json else folder)
