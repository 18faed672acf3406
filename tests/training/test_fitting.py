"""Whole runs on a small corpus: what they leave behind, what they refuse, and that they learn."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.training.corpus import MakeRecipe

import mien
from mien.checkpoints.bundle import load, save
from mien.data.finish import finish
from mien.data.loader import collate
from mien.data.order import EpochOrder
from mien.data.protocol import Protocol
from mien.errors import MienError, UsageError
from mien.evaluation.assess import EvaluationSettings, evaluate
from mien.evaluation.courses import fit_smoothing
from mien.lock import alone
from mien.models import create_encoder, default_inputs
from mien.models.contract import Encoder, Recogniser
from mien.models.specification import Specification
from mien.nn.products import quick_products
from mien.training.experiment import build, start_from
from mien.training.fitting import fit
from mien.training.recipe import load_recipe


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def pretrained(pretext_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "masked"
    fit(pretext_recipe(), run)
    return run


def test_pretraining_leaves_an_encoder(pretrained: Path, manifest: Path, pretext_recipe: MakeRecipe) -> None:
    bundle = mien.load(str(pretrained))
    assert isinstance(bundle.model, Encoder)
    assert bundle.task is None
    (entry,) = bundle.specification.provenance.ledger
    assert (entry.corpus, entry.stage, entry.clips) == (manifest.parent.name, "pretraining", 24)
    assert entry.protocol == Protocol.read(pretrained / "protocol.json").digest
    assert load_recipe(pretrained / "recipe.yaml") == pretext_recipe()


def test_fine_tuning_carries_the_ledger_on_and_ships_the_average(
    pretrained: Path, task_recipe: MakeRecipe, tmp_path: Path
) -> None:
    model = {"name": "videomae_test", "init": str(pretrained)}
    result = fit(task_recipe(model=model), tmp_path / "run")
    bundle = mien.load(result.bundle)
    assert isinstance(bundle.model, Recogniser)
    assert [entry.stage for entry in bundle.specification.provenance.ledger] == ["pretraining", "fine-tuning"]
    assert result.weights.startswith("moving average (decay 0.9)")
    assert "the best on validation by uar" in result.weights
    assert result.validation["n"] == 4
    assert set(result.validation) == {"uar", "war", "macro_f1", "weighted_f1", "n"}
    shipped = load_file(tmp_path / "run/bundle/model.safetensors")
    best = load_file(next((tmp_path / "run/checkpoints").glob("best-*.safetensors")))
    assert all(torch.equal(shipped[name], best[name]) for name in shipped)
    assert json.loads((tmp_path / "run/metrics.json").read_text())["validation"] == result.validation
    logged = rows(tmp_path / "run/logs/train.csv")
    assert [row["step"] for row in logged] == ["10", "12"]
    assert all(math.isfinite(float(row["loss"])) for row in logged)
    assert [row["step"] for row in rows(tmp_path / "run/logs/validation.csv")] == ["4", "8", "12"]


def test_weights_of_which_nothing_is_recorded_stay_so(tmp_path: Path) -> None:
    encoder = create_encoder("videomae_test")
    source = Specification(model="videomae_test", inputs=default_inputs("videomae_test"))
    save(encoder, source, tmp_path / "foreign")
    before = start_from(str(tmp_path / "foreign"), encoder, "videomae_test")
    assert [(entry.corpus, entry.stage) for entry in before.ledger] == [("unknown", "pretraining")]


def test_pretrained_weights_are_really_the_start(pretrained: Path, task_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = task_recipe(
        model={"name": "videomae_test", "init": str(pretrained)},
        optimiser={"lr": 1e-12, "weight_decay": 0.0},
        weights="last",
    )
    fit(recipe, tmp_path / "run")
    before = load_file(pretrained / "bundle/model.safetensors")
    after = load_file(tmp_path / "run/bundle/model.safetensors")
    name = (
        "blocks.1.mlp.up.weight" if "blocks.1.mlp.up.weight" in before else next(n for n in before if "blocks.1" in n)
    )
    torch.testing.assert_close(after[f"encoder.{name}"], before[name], atol=1e-7, rtol=0)


def test_it_learns(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = task_recipe(
        model={"name": "videomae_test"},
        augmentation={"flip": 0, "crop_scale": [1, 1], "crop_ratio": [1, 1]},
        optimiser={"lr": 3e-4},
        schedule={"epochs": 25, "warmup_epochs": 1},
        intervals={"validate_epochs": 5},
    )
    result = fit(recipe, tmp_path / "run")
    losses = [float(row["loss"]) for row in rows(tmp_path / "run/logs/train.csv")]
    assert losses[-1] < 0.5 < 0.65 < losses[0]
    assert result.validation["uar"] == 1.0


def test_a_run_is_a_plain_loop(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Equal to the loop that anybody would write: order, rates, groups, clipping, moving average."""
    optimiser = {"lr": 1e-3, "min_lr": 1e-5, "clip": 0.5, "ema": 0.8, "weight_decay": 0.1}
    recipe = task_recipe(model={"name": "videomae_test"}, optimiser=optimiser, schedule={"epochs": 2}, weights="last")
    result = fit(recipe, tmp_path / "run")
    experiment = build(recipe)
    model, task, average = experiment.objective.trained, experiment.task, None
    assert isinstance(model, Recogniser)
    assert task is not None
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": others, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.1}]
    adam = torch.optim.AdamW(groups, fused=True)
    order = EpochOrder(seed=0, length=16, batch_size=4)
    for step in range(8):
        for group in adam.param_groups:
            group["lr"] = 1e-5 + (1e-3 - 1e-5) / 2 * (1 + math.cos(math.pi * step / 8))
        (keys, *_) = order.batches(step // 4, step % 4)
        batch = collate([experiment.train[key] for key in keys])
        tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
        batch |= finish(tensors, experiment.train.inputs.video, "cpu")
        adam.zero_grad()
        with quick_products(torch.device("cpu")):  # as a run: other routines round differently
            task.loss(model.train()(batch), batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        adam.step()
        now = {name: value.clone() for name, value in model.state_dict().items()}
        average = now if average is None else {name: average[name].lerp(now[name], 1 - 0.8) for name in now}
    shipped = load_file(Path(result.bundle) / "model.safetensors")
    for name, value in average.items():
        torch.testing.assert_close(shipped[name], value, atol=1e-7, rtol=1e-6)


def test_values_over_time(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = task_recipe(
        task={"kind": "dimensions", "level": "frame", "outputs": ["across", "along"]},
        optimiser={"lr": 1e-3, "accumulate": 2},
        schedule={"epochs": 1},
        smoothing=True,
    )
    result = fit(recipe, tmp_path / "run")
    assert {"ccc", "ccc/across", "ccc/along"} <= set(result.validation)
    shipped = load(tmp_path / "run").specification
    assert result.smoothing == shipped.smoothing_text()
    # what training fitted is what fitting by hand on its validation clips gives
    again = fit_smoothing(tmp_path / "run", recipe.data.manifest).smoothing
    for one, other in zip(again, shipped.smoothing, strict=True):  # training multiplies by other routines
        assert one.model_dump() == pytest.approx(other.model_dump(), rel=1e-4)
    raw, smoothed = (
        evaluate(tmp_path / "run", recipe.data.manifest, "validation", EvaluationSettings(raw=raw))
        for raw in (True, False)
    )
    assert smoothed["ccc"].value > raw["ccc"].value


def test_same_recipe_same_weights_whatever_the_workers(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    for run, workers in (("a", 0), ("b", 2)):
        fit(task_recipe(data={"workers": workers}), tmp_path / run)
    one, two = (load_file(tmp_path / run / "checkpoints/last.safetensors") for run in ("a", "b"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_accumulated_parts_add_up_to_the_batch(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    for run, parts in (("whole", 1), ("parts", 2)):
        optimiser = {"lr": 1e-3, "accumulate": parts}
        fit(task_recipe(model={"name": "videomae_test"}, optimiser=optimiser), tmp_path / run)
    one, two = (load_file(tmp_path / run / "bundle/model.safetensors") for run in ("whole", "parts"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-4)


def test_a_used_folder_is_refused(pretrained: Path, pretext_recipe: MakeRecipe) -> None:
    with pytest.raises(UsageError, match="is not empty; add --resume"):
        fit(pretext_recipe(), pretrained)
    with pytest.raises(UsageError, match=r"was begun with seed=0, now it is 1"):
        fit(pretext_recipe(seed=1), pretrained, resume=True)


def test_a_finished_run_is_returned(pretrained: Path, pretext_recipe: MakeRecipe) -> None:
    assert fit(pretext_recipe(), pretrained, resume=True).steps == 12


def test_unreadable_clips_are_left_out_and_counted(own_corpus: Path, task_recipe: MakeRecipe, tmp_path: Path) -> None:
    own_corpus.with_name("3.mp4").write_bytes(b"this is no video")
    data = {"manifest": str(own_corpus), "max_unreadable": 0.1}
    result = fit(task_recipe(data=data), tmp_path / "run")
    (reason,) = result.unreadable.values()
    assert "3.mp4" in reason
    assert result.clips == 48 - 3, "one clip is missing in each of three epochs, and nothing stands in for it"
    with pytest.raises(MienError, match=r"1 clips could not be read, more than the share data\.max_unreadable=0\.01"):
        fit(task_recipe(data=data | {"max_unreadable": 0.01}), tmp_path / "strict")


def test_a_loss_that_is_not_finite_stops_and_names_the_clips(
    task_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.tasks import Classification

    real, calls = Classification.loss, []

    def poisoned(self, outputs, batch):  # type: ignore[no-untyped-def]
        calls.append(1)
        return real(self, outputs, batch) * (float("nan") if len(calls) == 6 else 1.0)

    monkeypatch.setattr(Classification, "loss", poisoned)
    with pytest.raises(MienError, match="the loss is nan at step 6 on clips ") as caught:
        fit(task_recipe(), tmp_path / "run")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "videomae_tset"}}, "did you mean videomae_test"),
        ({"model": {"name": "videomae_test", "init": "nowhere"}}, "nowhere does not exist"),
        ({"task": {"kind": "clasification", "outputs": ["a", "b"]}}, "clasification"),
        ({"task": {"kind": "classification", "outputs": ["left", "down"]}}, "not one of the classes left, down"),
        ({"task": {"kind": "dimensions", "outputs": ["valence"]}}, "valence"),
        ({"mixing": {"mixup": 0.8}, "task": {"kind": "dimensions", "level": "frame", "outputs": ["along"]}}, "mixing"),
        ({"data": {"manifest": "nowhere.csv"}}, r"nowhere\.csv"),
        (
            {"model": {"name": "vaerr_test"}, "hardware": {"accelerator": "cpu", "recompute": True}},
            "hardware.recompute: model 'vaerr_test' has no transformer blocks; set it to false",
        ),
        (
            {"hardware": {"accelerator": "cuda", "devices": 64}, "data": {"manifest": "m", "batch": 64}},
            "this machine has",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    task_recipe: MakeRecipe, tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(MienError, match=message) as caught:
        fit(task_recipe(**changes), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_run_has_one_writer_and_a_dead_one_counts_for_nothing(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe, run = task_recipe(schedule={"epochs": 1}), tmp_path / "run"
    with alone(run):
        for resume in (False, True):
            with pytest.raises(UsageError, match="run is being written by process"):
                fit(recipe, run, resume=resume)
    run.mkdir()
    (run / ".lock").write_text("process 1 on a machine that is no more\n")
    fit(recipe, run)
    assert not (run / ".lock").exists()
    with alone(run):  # it is finished: read, and not written any more
        assert fit(recipe, run, resume=True).steps == 4
    (run / "metrics.json").unlink()
    with alone(run), pytest.raises(UsageError, match="run is being written by process"):
        fit(recipe, run, resume=True)
    (run / "bundle" / "config.json").unlink()
    with pytest.raises(
        MienError, match="run is a run that is not finished, it holds no bundle yet; go on with --resume"
    ):
        load(run)


def test_what_is_refused_before_the_first_step_leaves_no_folder(tmp_path: Path, task_recipe: MakeRecipe) -> None:
    with pytest.raises(UsageError, match="a warm-up of 900 steps does not fit"):
        fit(task_recipe(schedule={"epochs": 1, "warmup_steps": 900}), tmp_path / "runs" / "run")
    assert list(tmp_path.iterdir()) == []
