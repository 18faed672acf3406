"""What the documentation says can be typed, opened or set is there: commands, recipes, keys, options, files, links."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer.main

import mien
from mien import plugins
from mien.checkpoints.convert.base import get_converter
from mien.cli.app import VERBS
from mien.data.corpora import get_corpus
from mien.evaluation import metrics
from mien.media import VideoWriter
from mien.models import default_inputs, list_models, registry
from mien.models.specification import TaskConfig
from mien.training.recipe import _all_keys, list_recipes, load_recipe

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md")]
PAGES += sorted((REPOSITORY / "docs").rglob("*.md"))
RECIPES = sorted((REPOSITORY / "src/mien/recipes").rglob("*.yaml"))
# values of a recipe that belong to what it names: a model, a task, a pretext
FREE = ("model.arguments", "model.init", "task.options", "pretext.options", "data.protocol")
SECTIONS = "data|model|task|optimiser|schedule|hardware|intervals|pretext|mixing|augmentation|sampling|modality_dropout"
KEY = re.compile(rf"(?:^|(?<=\s))((?:{SECTIONS})(?:\.[a-z_]+)+)(?!\w)")
NAMES = {recipe.name for recipe in list_recipes()}


@cache
def command(*words: str) -> Any:
    """A verb's command, or the one of a word below it (``corpora show``)."""
    found = typer.main.get_command(import_module(f"mien.cli.{words[0]}").app)
    return found if len(words) == 1 else found.commands[words[1]]  # type: ignore[attr-defined]


def blocks(text: str) -> str:
    """The lines of a page that stand in a fenced or an indented block."""
    fenced = re.findall(r"^```(?:bash)?\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"^    (.*)$", text, flags=re.MULTILINE)])


def typed(text: str) -> Iterator[str]:
    """Calls of mien in lines of a shell, without what stands before them and comments behind."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|;", re.sub(r"(^|\s)#.*", "", line)):
            match = re.match(r"\s*(?:srun |\.venv/bin/|\$\(BIN\)/)?mien (.+)", part)
            if match:
                yield match[1].strip()


def calls() -> list[tuple[str, str]]:
    found = [(page.name, call) for page in PAGES for call in typed(blocks(page.read_text()))]
    for recipe in RECIPES:
        header = "".join(line for line in recipe.read_text().splitlines(keepends=True) if line.startswith("#"))
        match = re.search(r"# Command: +((?:.+\n)(?:#  +.+\n)*)", header)
        if match:
            found += [(recipe.stem, call) for call in typed(match[1].replace("\n#", " "))]
    for verb in VERBS:
        for one in (command(verb), *getattr(command(verb), "commands", {}).values()):
            found += [(f"mien {verb} --help", call) for call in typed((one.help or "").replace("Example: ", ""))]
    return found


def check_call(call: str) -> None:
    words = shlex.split(call)
    verb, arguments = words[0], words[1:]
    assert verb in VERBS
    if hasattr(command(verb), "commands") and arguments and not arguments[0].startswith("-"):
        found, arguments = command(verb, arguments[0]), arguments[1:]
    else:
        found = command(verb)
    context = found.make_context(verb, arguments)  # as Typer does it; raises for what it would refuse
    given = context.params
    if verb in ("train", "pretrain") and given["recipe"] and not given["recipe"].isupper():
        recipe, overrides = given["recipe"], given["overrides"] or []
        if recipe in NAMES or not recipe.endswith((".yaml", ".yml")):
            assert load_recipe(recipe, overrides).stage == {"train": "fine-tuning", "pretrain": "pretraining"}[verb]
    if verb == "recipes":
        what, name = given["what"], given["name"]
        assert list_recipes(name or "*" if what in ("show", "check") else what) or name.isupper()
    if verb == "models":
        assert list_models(given["pattern"])
    if verb == "convert":
        get_converter(given["system"])
    corpus = given.get("corpus") if verb == "prepare" else given.get("name") if verb == "corpora" else None
    if corpus:
        get_corpus(corpus)


@pytest.mark.parametrize(("where", "call"), calls(), ids=lambda value: str(value)[:60])
def test_a_command_would_run(where: str, call: str) -> None:
    check_call(call)


def is_code(name: str) -> bool:
    """Whether ``room.module.name`` is what it says."""
    module, _, attribute = f"mien.{name}".rpartition(".")
    try:
        return hasattr(import_module(module), attribute)
    except ImportError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_inline_names_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    known = set(_all_keys())
    options = {
        option
        for verb in VERBS
        for one in (command(verb), *getattr(command(verb), "commands", {}).values())
        for param in one.params
        for option in (*param.opts, *param.secondary_opts)
    } | {"--help", "--debug", "--version"}
    scripts = "".join(path.read_text() for path in (REPOSITORY / "benchmarks").glob("*.py"))
    for code in re.findall(r"`([^`\n]+)`", text):
        verb = re.match(r"mien ([a-z]+)", code)
        assert not verb or verb[1] in VERBS, code
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code):
            assert option in options or f'"{option}"' in scripts, code
        for key in KEY.findall(code):
            file = key.endswith((".py", ".safetensors"))
            assert file or key in known or f"data.{key}" in known or key.startswith(FREE) or is_code(key), key
        for path in re.findall(r"(?:tests|benchmarks|docs|src)/[\w/]+\.(?:py|json|md)", code):
            assert (REPOSITORY / path).is_file(), path
        recipe = re.fullmatch(r"(avfusion|demo|maedfer|maedfer_ca|svfap|vaerr|videomae|viper)/([a-z0-9_]+)", code)
        assert not recipe or code in NAMES, code


def page(path: Path) -> str:
    """All Python of a page, one block after the other."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL))


def examples() -> list[str]:
    """Python of the README and of guides, and examples of public functions with the names they need."""
    named = "import numpy, torch, mien\nfrom mien.models.specification import TaskConfig\n"
    texts = [page(REPOSITORY / name) for name in ("README.md", "docs/guides/python.md", "docs/guides/predict.md")]
    for name in mien.__all__:
        lines = re.findall(r"^ *(?:>>>|\.\.\.) (.*)$", getattr(mien, name).__doc__ or "", re.MULTILINE)
        texts += [named + "\n".join(lines)] if lines else []
    return texts


@pytest.mark.parametrize("text", examples(), ids=lambda text: text.strip().splitlines()[-1][:40])
def test_python_runs_as_written(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task = TaskConfig(kind="classification", outputs=("calm", "angry"))
    inputs = default_inputs("videomae_test")
    whole = inputs.model_copy(update={"video": inputs.video.model_copy(update={"crop": None})})
    for folder in ("mien-demo/runs/pretrained/bundle", "runs/mine/bundle"):
        model = mien.create_model("videomae_test", task)
        mien.save(model, mien.Specification(model="videomae_test", inputs=whole, task=task), Path(folder))
    with VideoWriter("talk.mp4", (64, 48), fps=25, sound_rate=16000) as out:
        for index in range(30):
            out.write(np.full((48, 64, 3), 8 * index, np.uint8))
        out.write_sound(np.zeros(16000, np.float32))
    rows = [("train", "calm"), ("train", "angry"), ("validation", "calm"), ("test", "angry")]
    table = pd.DataFrame(rows, columns=["split", "label"]).assign(
        path=[f"{n}.mp4" for n in range(4)], subject=list("abcd")
    )
    mien.Manifest(table, "corpus").write("corpus/manifest.csv")
    for name in table["path"]:
        shutil.copy("talk.mp4", f"corpus/{name}")
    for holder, name in ((registry, "_builders"), (registry, "_inputs"), (metrics, "METRICS"), (plugins, "_origins")):
        monkeypatch.setattr(holder, name, dict(getattr(holder, name)))  # what a page registers is gone afterwards
    exec(compile(text, "documentation", "exec"), {"__name__": "__main__"})


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
