"""What of a preparation gave no clip, as the command tells it: a line each with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mien.data.prepare import PrepareReport

_LINES = 10


def tell_skipped(report: PrepareReport) -> None:
    """A line for each recording without clips, the first ten of each kind; all are in ``report.csv``."""
    for status, title in (("no face", "without a face"), ("failed", "that could not be read")):
        found = report.with_status(status)
        if not found:
            continue
        typer.echo(f"{count(len(found), 'recording')} {title}:")
        for record in found[:_LINES]:
            typer.echo(f"  {record.reason}")
        if len(found) > _LINES:
            typer.echo(f"  and {len(found) - _LINES:,} more: {report.out / 'report.csv'}")


def count(number: int, noun: str) -> str:
    """``1 clip``, ``1,234 clips``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
