"""``mien doctor``: what ails an installation, or a training run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import AsJson

if TYPE_CHECKING:
    from mien.diagnosis.installation import Check
    from mien.diagnosis.run import Diagnosis

app = typer.Typer(add_completion=False)
MARKS = {"ok": "+", "absent": "-", "broken": "!"}


@app.command()
def doctor(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="Folder of a run; without it this machine is looked at.")
    ] = None,
    clips: Annotated[
        int, typer.Option(min=0, help="Most clips of each part to run the weights on; 0 reads the folder alone.")
    ] = 64,
    speed: Annotated[bool, typer.Option(help="Measure how fast this machine is: takes some seconds.")] = True,
    as_json: AsJson = False,
) -> None:
    """Look at this machine (versions, codecs, devices, extras, speed), or explain what ails a training run.

    Exit code 0: nothing found; 3: warnings; 4: something serious. (1: the work failed, 2: bad usage.)

    Example: mien doctor; mien doctor runs/mine
    """
    code = _machine(speed, as_json) if run is None else _run(run, clips, as_json)
    raise typer.Exit(code)


def _machine(speed: bool, as_json: bool) -> int:
    from mien.diagnosis.finding import EXIT_CODES
    from mien.diagnosis.installation import check_installation

    checks = check_installation()
    if not as_json:
        _print_checks(checks)
    if speed:
        from mien.diagnosis.speed import measure_speed

        measured = measure_speed()
        checks += measured
        if not as_json:
            _print_checks(measured)
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        typer.echo(json.dumps({"checks": [check.to_dict() for check in checks], "broken": len(broken)}, indent=1))
    else:
        typer.echo(f"\n{len(broken)} thing(s) to mend" if broken else "\nmien can work here")
    return EXIT_CODES["serious"] if broken else 0


def _print_checks(checks: list[Check]) -> None:
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            typer.echo(f"\n{group}")
        remedy = f"  → {check.remedy}" if check.remedy else ""
        typer.echo(f"  {MARKS[check.state]} {check.name:<12} {check.value}{remedy}")


def _run(run: Path, clips: int, as_json: bool) -> int:
    from mien.diagnosis.run import diagnose

    diagnosis = diagnose(run, clips)
    if as_json:
        typer.echo(json.dumps(diagnosis.to_dict(), indent=1, ensure_ascii=False))
    else:
        _print_diagnosis(diagnosis)
    return diagnosis.exit_code


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    typer.echo(f"{diagnosis.run}: {diagnosis.steps} steps; looked at {'; '.join(diagnosis.looked)}")
    if not diagnosis.findings:
        typer.echo("nothing found")
    for finding in diagnosis.findings:
        typer.echo(f"\n{finding.severity}: {finding.kind}")
        typer.echo(f"  seen  {finding.seen}")
        typer.echo(f"  why   {finding.why}")
        typer.echo(f"  try   {finding.attempt}")
