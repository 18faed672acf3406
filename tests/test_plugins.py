"""What other packages add is found by name, in every verb, and cannot take the place of what mien has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mien import plugins
from mien.data import corpora
from mien.data.corpora import get_corpus, register_corpus
from mien.errors import UsageError
from mien.evaluation.metrics import METRICS, metric, register_metric
from mien.models import create_encoder, default_inputs, list_models, register_model, registry
from mien.models.specification import TaskConfig
from mien.pretext import PRETEXTS, register_pretext
from mien.tasks import TASKS, Classification, create_task, register_task

ADDED = '''
"""A package of somebody else's."""
from dataclasses import replace

from mien.data.corpora import get_corpus, register_corpus
from mien.evaluation.metrics import metric, register_metric
from mien.models import default_inputs, list_models, register_model
from mien.models.videomae import videomae_test
from mien.pretext import PRETEXTS, register_pretext
from mien.tasks import Classification, register_task


@register_model(default_inputs("videomae_test"))
def somebodys_encoder(**arguments):
    """Of somebody else."""
    return videomae_test(**arguments)


@register_task
class Votes(Classification):
    kind = "votes"


@register_pretext
def guessing(model, arguments, video):
    return PRETEXTS["byol"](model, arguments, video)


register_corpus(replace(get_corpus("class-folders"), name="somebodys-corpus"))
register_metric(replace(metric("mae"), name="mae_in_percent"))
assert "somebodys_encoder" in list_models()
'''
USED = """
import json, sys
import mien
from mien.cli import main
from mien.data.corpora import corpora
from mien.evaluation import metric
from mien.models.specification import TaskConfig
from mien.pretext import create_pretext
from mien.models import default_inputs
model = mien.create_model("somebodys_encoder", TaskConfig(kind="votes", outputs=("a", "b")))
pretext = create_pretext("guessing", "videomae_test", {}, default_inputs("videomae_test").video)
known = "somebodys-corpus" in corpora()
print(json.dumps([type(model).__name__, type(pretext).__name__, known, metric("mae_in_percent").title]))
sys.argv = ["mien", "models", "somebodys*"]
main()
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which a package with a good and a broken plugin is installed."""
    (tmp_path / "added.py").write_text(ADDED)
    (tmp_path / "broken.py").write_text("import there_is_no_such_module")
    about = tmp_path / "added-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[mien.plugins]\nzzz = added\nbroken = broken\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


def test_packages_add_all_that_has_a_name(installed: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", USED], env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen, *listed = done.stdout.splitlines()
    assert json.loads(seen) == ["Recogniser", "BYOL", True, "MAE"]
    assert listed == ["somebodys_encoder  Of somebody else."]
    assert "the plugin broken (broken) cannot be loaded, ModuleNotFoundError" in done.stderr


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing stays registered after the test."""
    monkeypatch.setattr(plugins, "_origins", {})
    registries: list[dict[str, Any]] = [registry._builders, registry._inputs, corpora._others, TASKS, METRICS, PRETEXTS]
    list_models()
    before = [dict(each) for each in registries]
    yield
    for each, held in zip(registries, before, strict=True):
        for name in set(each) - set(held):
            del each[name]


def _define(text: str) -> dict[str, Any]:
    """What a cell of a notebook leaves behind."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(text, names)
    return names


@pytest.mark.usefixtures("clean")
def test_a_cell_may_run_twice() -> None:
    for _ in range(2):
        _define(ADDED)
    assert list_models("somebodys*") == ["somebodys_encoder"]
    assert get_corpus("somebodys_corpus").title == get_corpus("class-folders").title
    assert metric("mae_in_percent")([0, 1], [0.5, 1]) == 0.25
    assert create_task(TaskConfig(kind="votes", outputs=("a", "b"))).classes == ("a", "b")


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("take", "line"),
    [
        (lambda: register_model(default_inputs("videomae_test"))(named("videomae_base")), "model 'videomae_base' is"),
        (lambda: register_task(type("Mine", (Classification,), {"kind": "traits"})), "task 'traits' is registered"),
        (lambda: register_pretext(named("byol")), "pretext 'byol' is registered already; choose another name"),
        (lambda: register_corpus(get_corpus("dfew")), "corpus 'dfew' is registered already"),
        (lambda: register_corpus(replace(get_corpus("dfew"), name="My_Own")), "are written like 'my-own'"),
        (lambda: register_metric(replace(metric("mae"), name="ccc")), "metric 'ccc' is registered already"),
    ],
)
def test_names_that_are_taken_are_refused(take: Callable[[], Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        take()
    assert create_task(TaskConfig(kind="traits", outputs=("a",))).kind == "traits"


def test_an_unknown_model_may_be_ones_own() -> None:
    with pytest.raises(UsageError, match="one of your own is imported first, or found by its entry point"):
        create_encoder("mine")


def named(name: str) -> Any:
    """A function of that name."""
    return type(named)(named.__code__, globals(), name)
