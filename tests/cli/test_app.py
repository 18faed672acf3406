"""The command as a whole: its version, what it says of calls that make no sense, and help that is one for all verbs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
import typer.main

import mien
from mien.cli.app import VERBS

Here = Callable[..., tuple[int, str, str]]

# options whose meaning belongs to their verb
OWN = {"--out", "--json", "--seed", "--jobs", "--batch", "--size", "--step", "--data", "--protocol", "--published",
       "--corpus", "--classes", "--folds", "--features", "--clips", "--smoothing", "--frames", "--group"}  # fmt: skip


def commands() -> Iterator[tuple[str, Any]]:
    """Every verb and sub-verb with its command."""
    for verb in VERBS:
        command = typer.main.get_command(import_module(f"mien.cli.{verb}").app)
        yield verb, command
        for name, below in getattr(command, "commands", {}).items():
            yield f"{verb} {name}", below


def test_version(here: Here) -> None:
    assert here("--version") == (0, f"mien {mien.__version__}\n", "")


def test_the_overview_names_every_verb(here: Here) -> None:
    code, out, err = here("--help")
    assert (code, err) == (0, "")
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("predicct talk.mp4", "predicct is no verb; did you mean predict?"),
        ("bundle pus", "no such command 'pus'. Did you mean 'push'? (see mien bundle --help)"),
        ("train --rum runs/mine", "no such option: --rum (Possible options: --resume, --run) (see mien train --help)"),
        ("predict talk.mp4", "missing option '--model' (see mien predict --help)"),
        ("evaluate runs/mine --views 0", "invalid value for '--views': "),
        ("evaluate runs/mine --split tset", "is not one of 'train', 'validation', 'test', 'all'"),
        ("train svfap/finetune_dfw", "did you mean svfap/finetune_dfew?"),
        ("train svfap/finetune_dfew data.batchh=3", "data.batchh is not a key; did you mean data.batch?"),
        ("convert svfapp a.pth --out b", "system 'svfapp' has no converter; did you mean svfap?"),
        ("corpora show dfeww", "no corpus 'dfeww'; did you mean dfew?"),
    ],
)
def test_a_slip_is_answered_in_one_line(here: Here, line: str, message: str) -> None:
    code, out, err = here(*line.split())
    assert (code, out) == (2, "")
    assert err.startswith("mien: ")
    assert message in err
    assert err.count("\n") == 1


def test_every_verb_has_an_example_and_speaks_json() -> None:
    for name, command in commands():
        words = command.help + (command.epilog or "")
        assert "Example: mien " in words or name == "bundle", name
        options = {option for one in command.params for option in one.opts}
        assert "--json" in options or name == "bundle", name
        assert all(getattr(one, "help", "") for one in command.params if one.name != "help"), name


def test_an_option_means_the_same_whichever_the_verb() -> None:
    meanings: dict[str, set[Any]] = defaultdict(set)
    for _, command in commands():
        for one in command.params:
            for option in set(one.opts) - OWN:
                if option.startswith("--"):
                    meanings[option].add((one.help, str(one.default)))
    assert {option: told for option, told in meanings.items() if len(told) > 1} == {}
