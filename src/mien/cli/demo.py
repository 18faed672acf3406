"""``mien demo``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from mien.cli.options import AsJson

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    out: Path = typer.Option(Path("mien-demo"), help="Folder for everything that the demo makes."),
    seed: int = typer.Option(0, min=0, help="Seed of the corpus, the training and the intervals."),
    overrides: list[str] = typer.Argument(None, metavar="KEY=VALUE", help="Changes to both training recipes."),
    as_json: AsJson = False,
) -> None:
    """Make a small corpus, pretrain, fine-tune, evaluate and predict, all on this machine, in a few minutes.

    Stopped and started again with the same folder, it goes on where it was.

    Example: mien demo --out mien-demo
    """
    typer.echo("mien demo: some minutes on two processor cores. Loading ...", err=True)
    from mien.demo.report import figures, summary, write_page
    from mien.demo.steps import run_demo

    outcome = run_demo(out, seed, _Teller(), tuple(overrides or ()))
    page = write_page(outcome)
    typer.echo(json.dumps(figures(outcome, page), indent=1) if as_json else summary(outcome, page))


class _Teller:
    """Prints every step once, and its progress in place on a terminal."""

    def __init__(self) -> None:
        self.current = ""
        self.live = sys.stderr.isatty()

    def __call__(self, text: str, share: float | None) -> None:
        new, self.current = text != self.current, text
        percent = "" if share is None or not self.live else f" {share:4.0%}"
        if self.live:
            typer.echo(("\n" if new else "") + f"\r• {text}{percent}", err=True, nl=False)
        elif new:
            typer.echo(f"• {text}", err=True)
