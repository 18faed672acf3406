"""Recipes: reading, overriding, refusing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mien.errors import UsageError
from mien.training.recipe import dump_recipe, list_recipes, load_recipe, read_header

TEXT = """\
# Command:  mien train small.yaml
# Hardware: 2 processor cores
#           (any)
# Hours:    0.1
# Expected: UAR 0.70
#
# What it is about.
name: small
data: {manifest: corpus/manifest.csv, batch: 8}
model: {name: videomae_test}
task: {kind: classification, outputs: [happy, sad]}
optimiser: {lr: 1e-3, base_batch: 256}
schedule: {epochs: 2, warmup_epochs: 1}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(TEXT)
    return file


def test_defaults_and_values(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.optimiser.lr == 0.001, "1e-3 is a number although YAML 1.1 takes it for text"
    assert recipe.optimiser.betas == (0.9, 0.999)
    assert recipe.task is not None
    assert recipe.task.outputs == ("happy", "sad")
    assert recipe.stage == "fine-tuning"
    assert recipe.part == 8


def test_overrides_are_yaml(path: Path) -> None:
    recipe = load_recipe(
        path,
        [
            "optimiser.betas=[0.9, 0.95]",
            "model.arguments.drop_path=1e-1",
            "data.sampling.stride=4",
            "optimiser.clip=null",
            "schedule.epochs=7",
            "data.manifest=a=b.csv",
        ],
    )
    assert recipe.optimiser.betas == (0.9, 0.95)
    assert recipe.model.arguments == {"drop_path": 0.1}
    assert recipe.data.sampling.stride == 4
    assert recipe.optimiser.clip is None
    assert recipe.schedule.epochs == 7
    assert recipe.data.manifest == "a=b.csv"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimiser.learning_rate=1", "optimiser.learning_rate is not a key; did you mean optimiser."),
        ("optimizer.lr=1", "optimizer is not a key; did you mean optimiser?"),
        ("schedule.epoch=3", "did you mean schedule.epochs?"),
        ("batch=3", "batch is not a key; did you mean data.batch?"),
        ("optimiser.lr=fast", "optimiser.lr='fast': input should be a valid number"),
        ("optimiser.lr=-1", "optimiser.lr=-1: input should be greater than 0"),
        ("optimiser.lr=.nan", "optimiser.lr=nan: input should be"),
        ("optimiser.lr", "is not of the form key=value"),
        ("data.batch=[1", "not YAML"),
        ("name.first=x", "name is a value, not a section"),
        ("schedule.steps=3", "give exactly one of epochs and steps"),
        ("pretext={kind: masked}", "give exactly one of pretext and task"),
        ("task=null", "give exactly one of pretext and task"),
        ("optimiser.accumulate=3", "use a multiple of 3"),
        ("data.sampling={stride: 2, fps: 10}", "give stride or fps"),
        ("data.protocol.by=fold", "needs fold"),
        ("data.protocol.by=all", "leaves nothing to judge"),
        ("precision=fp16", "precision='fp16': input should be 'fp32', 'bf16' or 'auto'"),
        ("task.kind=null", "task.kind=None"),
    ],
)
def test_refusals_are_one_line(path: Path, override: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(path, [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "a recipe is a mapping"),
        ("name: x\nname: y", "line 2 not YAML: the key 'name' is given twice"),
        ("name: [", "not YAML"),
        ("", "a recipe is a mapping"),
        ("name: !!python/object:os.system x", "not YAML"),
        (TEXT.replace("name: small\n", ""), "name is missing"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"broken\.yaml") as caught:
        load_recipe(file)
    assert message in str(caught.value)


def test_missing_file_and_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(
        UsageError, match="no recipe is called 'videomae/finetun_synthetic'; did you mean videomae/finetune_synthetic"
    ):
        load_recipe("videomae/finetun_synthetic")


def test_a_resolved_recipe_reads_back_equal(path: Path) -> None:
    recipe = load_recipe(path, ["optimiser.layer_decay=0.75"])
    text = dump_recipe(recipe, "resolved by a test")
    path.write_text(text)
    assert text.startswith("# resolved by a test\n")
    assert load_recipe(path) == recipe
    assert yaml.safe_load(text)["optimiser"]["eps"] == 1e-8


def test_a_recipe_stands_on_others(path: Path, tmp_path: Path) -> None:
    """Sections are joined key by key, later bases lie over earlier ones, lists and values replace."""
    (tmp_path / "part.yaml").write_text("optimiser: {lr: 5, clip: 2}\nmodel: {arguments: {a: 1, b: [1, 2]}}\n")
    (tmp_path / "top.yaml").write_text(
        "base: [small.yaml, part.yaml]\nmodel: {arguments: {b: [3]}}\noptimiser: {base_batch: null}\n"
    )
    recipe = load_recipe(tmp_path / "top.yaml", ["schedule.epochs=9"])
    assert recipe.name == "small"
    assert recipe.optimiser == load_recipe(path, ["optimiser={lr: 5, clip: 2}"]).optimiser
    assert recipe.model.arguments == {"a": 1, "b": [3]}
    assert (recipe.schedule.epochs, recipe.schedule.warmup_epochs) == (9, 1)
    (tmp_path / "own.yaml").write_text("base: svfap/finetune_dfew\nname: own\n")
    shipped = load_recipe("svfap/finetune_dfew")
    assert load_recipe(tmp_path / "own.yaml") == shipped.model_copy(update={"name": "own"})


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("top.yaml", "stands on itself"),
        ("none.yaml", "No such file"),
        ("svfap/finetune_dfw", "did you mean svfap/finetune_dfew"),
        ("{a: 1}", "must be the name of a recipe"),
        ("[1]", "must be the name of a recipe"),
    ],
)
def test_broken_bases(tmp_path: Path, base: str, message: str) -> None:
    (tmp_path / "top.yaml").write_text(f"base: {base}\n")
    with pytest.raises(UsageError, match=message):
        load_recipe(tmp_path / "top.yaml")


def test_another_manifest_does_not_go_by_the_name_of_the_first(tmp_path: Path) -> None:
    """Ledgers would else say that weights had seen the synthetic corpus, and never those whose films they saw."""
    assert load_recipe("videomae/finetune_synthetic").data.corpus == "synthetic"
    own = "data.manifest=own/manifest.csv"
    assert load_recipe("videomae/finetune_synthetic", [own]).data.corpus == ""
    assert load_recipe("videomae/finetune_synthetic", ["data.corpus=lab", own]).data.corpus == "lab"
    file = tmp_path / "own.yaml"
    file.write_text("base: videomae/finetune_synthetic\nname: own\ndata: {manifest: own/manifest.csv}\n")
    assert load_recipe(file).data.corpus == ""
    file.write_text("base: videomae/finetune_synthetic\nname: own\ndata: {batch: 4}\n")
    assert load_recipe(file).data.corpus == "synthetic"


def test_parts_are_not_listed() -> None:
    assert not [listed.name for listed in list_recipes() if "_parts" in listed.name]
    with pytest.raises(UsageError, match="name is missing"):
        load_recipe("_parts/finetuning")


def test_header_is_read_with_continued_lines() -> None:
    header = read_header(TEXT)
    assert header["Hardware"] == "2 processor cores (any)"
    assert header["Expected"] == "UAR 0.70"


@pytest.mark.parametrize("name", [listed.name for listed in list_recipes()])
def test_shipped_recipes_load_and_promise(name: str) -> None:
    recipe = load_recipe(name)
    header = next(listed.header for listed in list_recipes(name))
    assert all(header.get(key) for key in ("Command", "Hardware", "Hours", "Expected"))
    verb = "pretrain" if recipe.pretext else "train"
    assert header["Command"].startswith(f"mien {verb} {name}")


def test_reading_a_recipe_needs_no_torch(path: Path) -> None:
    code = (
        f"from mien.training import load_recipe; load_recipe({str(path)!r}); import sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
