"""Asks before anything is downloaded for a published model."""

from __future__ import annotations

import sys

import typer

from mien.errors import UsageError


def obtain_published(name: str, yes: bool) -> str:
    """The bundle of a published model; explains what it needs, asks, downloads and converts where it is not here yet.

    Raises:
        UsageError: nobody is there to be asked.
        typer.Exit: code 1 where the answer is no.
    """
    from mien.checkpoints.offers import place
    from mien.extraction import published

    bundle = published.local_bundle(name)
    if bundle is not None:
        return str(bundle)
    at = place()
    plan = published.plan(name, at)
    typer.echo(plan.explain(), err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{name} would be downloaded and nobody is there to agree; call again with --yes")
        if not typer.confirm("Download now?", err=True):
            raise typer.Exit(1)
    return str(published.obtain(plan, at))
