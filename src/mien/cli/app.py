"""The Typer app: gathers the verbs and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from mien import __version__
from mien.errors import MienError, UsageError, nearest
from mien.memory import smaller, within_memory

# verb → one-line help. `mien.cli.<verb>` is imported only when the verb runs; it holds a Typer app called `app`.
VERBS: dict[str, str] = {
    "demo": "Make a small corpus, pretrain, fine-tune, evaluate and predict, all on this machine.",
    "prepare": "Raw videos → face clips and a manifest.",
    "extract": "Feature streams of a corpus into one store.",
    "pretrain": "Self-supervised pretraining from a recipe.",
    "train": "Fine-tuning from a recipe.",
    "evaluate": "Judge a run or bundle on a manifest: metrics with intervals, predictions, figures.",
    "calibrate": "Make a bundle's confidence mean what it says, and let it abstain.",
    "report": "Runs, evaluations or files of predictions as one page, side by side with significance.",
    "predict": "Read apparent emotion from videos into timelines, reports and overlays.",
    "explain": "Where and when a model looked, as heat maps in the video, pictures and tables.",
    "embed": "Encoder features of videos over time.",
    "convert": "Published checkpoints ↔ bundles, strict and without executing them.",
    "corpora": "Known corpora; divide, check, join and look at manifests; make the synthetic one.",
    "models": "Registered models.",
    "recipes": "Recipes that ship with mien.",
    "doctor": "What ails this installation, or a training run.",
    "bundle": "Show, verify, smooth, push and pull bundles.",
}


class LazyGroup(TyperGroup):
    """A command group whose verbs are imported when they are called, so that ``mien --help`` stays quick."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs in the order of ``VERBS``, which is that of the work."""
        return list(VERBS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As ``click.Group.resolve_command``; an unknown verb is refused with the nearest one."""
        if args[0] not in VERBS:
            raise UsageError(f"{args[0]} is no verb; {nearest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb's command, imported now; for the overview a name with its line of help is enough."""
        if _only_listing():
            return TyperCommand(name=cmd_name, help=VERBS[cmd_name])
        command = typer.main.get_command(import_module(f"mien.cli.{cmd_name}").app)
        command.name = cmd_name
        return command


def _only_listing() -> bool:
    """True when the arguments ask for the overview alone, for which one line per verb is enough."""
    return not any(argument in VERBS for argument in sys.argv[1:])


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def mien(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
    ),
    debug: bool = typer.Option(False, "--debug", help="Show where an error comes from; may stand anywhere."),
) -> None:
    """Read apparent emotion from video of faces, with sound where there is any.

    Exit codes: 0 done, 1 the work failed, 2 what was typed has to change.
    """


def run() -> int:
    """Run the command; returns its exit code, as ``mien.errors`` has it. ``--debug`` anywhere shows the traceback."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        with within_memory(f"in mien {' '.join(sys.argv[1:2])}", smaller()):
            code = int(app(standalone_mode=False, prog_name="mien") or 0)
        if code == _INTERRUPTED:
            print("mien: stopped", file=sys.stderr)
        return code
    except MienError as error:
        if debug:
            raise
        print(f"mien: {error}", file=sys.stderr)
        return error.exit_code
    except _BadUsage as error:
        line = _one_line(error)
        if line:  # else the help has been printed, as nothing was asked for
            print(f"mien: {line}", file=sys.stderr)
        return 2
    except typer.Abort:
        print("mien: stopped", file=sys.stderr)
        return 1
    except SystemExit as exit_:
        return int(exit_.code or 0)


_INTERRUPTED = 130  # what Typer makes of Ctrl-C: 128 + SIGINT

# what Typer raises for an unknown option, a missing argument or a value out of range
_BadUsage: Any = typer.BadParameter.__mro__[1]


def _one_line(error: Any) -> str:
    """What Typer says of a bad call, with the verb whose help says how it is to be, as one line."""
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return f"{message[:1].lower()}{message[1:]}{where}" if message else ""
