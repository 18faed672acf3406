"""Planted faults are found in real small runs, and a healthy run has no finding."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.training.corpus import COMMON, TASK, make_recipe, write_corpus

from mien.cli.app import run as run_command
from mien.data import dataset
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.streams import Stream, write_store
from mien.diagnosis.answers import agreement, look_at_answers
from mien.diagnosis.curves import look_at_logs
from mien.diagnosis.finding import Finding
from mien.diagnosis.observation import Observation
from mien.diagnosis.overlap import look_for_leakage
from mien.diagnosis.record import RunRecord
from mien.diagnosis.run import diagnose
from mien.errors import MienError, UsageError
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.models.specification import StreamInput, TaskConfig
from mien.tasks import create_task
from mien.training.fitting import fit

Train = Callable[..., Path]

LEARNABLE: dict[str, Any] = {
    "model": {"name": "videomae_test"},
    "augmentation": {"flip": 0, "crop_scale": [1, 1], "crop_ratio": [1, 1]},
    "optimiser": {"lr": 5e-4},
    "schedule": {"epochs": 12, "warmup_epochs": 1},
    "data": {"batch": 8, "cache": 500},
    "intervals": {"validate_epochs": 6},
}
SHORT = LEARNABLE | {"schedule": {"steps": 20}, "intervals": {"log_steps": 5, "validate_epochs": 6}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=72)


@pytest.fixture(scope="module")
def train(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains in a folder of its own; returns it."""

    def train_(sections: dict[str, Any], manifest: Path = corpus) -> Path:
        folder = tmp_path_factory.mktemp("runs") / "run"
        fit(make_recipe(TASK, manifest, **sections), folder, progress=False)
        return folder

    return train_


@pytest.fixture(scope="module")
def healthy(train: Train) -> Path:
    return train(LEARNABLE)


def found(run: Path, clips: int = 64) -> dict[str, Finding]:
    return {one.kind: one for one in diagnose(run, clips).findings}


def test_a_healthy_run_has_no_finding(
    healthy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mien", "doctor", str(healthy), "--json"])
    code = run_command()
    told = json.loads(capsys.readouterr().out)
    # how long a machine waits for data is its own affair
    assert [one for one in told["findings"] if one["kind"] != "starvation"] == []
    assert code == (3 if told["findings"] else 0)
    assert told["steps"] == 72
    assert told["looked"][-1] == "the weights on 12 views of validation clips"


def test_shuffled_labels(corpus: Path, train: Train) -> None:
    rows = pd.read_csv(corpus)
    rows["label"] = np.random.default_rng(1).permutation(rows["label"])
    rows.to_csv(corpus.with_name("shuffled.csv"), index=False)
    findings = found(train(LEARNABLE, corpus.with_name("shuffled.csv")))
    shuffled = findings.get("labels") or findings["nothing learned"]  # as far as it got them by heart
    assert "guessing gives 0.5" in shuffled.seen
    assert "joined by row number" in shuffled.attempt
    assert "learning rate" not in findings
    assert "leakage" not in findings


def test_a_leaked_subject(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pd.read_csv(corpus)
    rows.loc[rows["subject"] == "s5", "subject"] = "s0"
    rows.to_csv(corpus.with_name("leaked.csv"), index=False)
    sections = SHORT | {"data": {"batch": 8, "protocol": {"published": True}}, "schedule": {"steps": 2}}
    fit(make_recipe(TASK, corpus.with_name("leaked.csv"), **sections), tmp_path / "run")
    # training says so before it begins
    assert capsys.readouterr().err.startswith("note: training and test share 1 subject(s): s0, as in the published")
    finding = found(tmp_path / "run", clips=0)["leakage"]
    assert finding.seen == "train and test share 1 people: s0"
    assert finding.severity == "serious"


def test_a_person_leaked_under_another_name(healthy: Path, corpus: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(corpus)
    own = tmp_path / "corpus"
    shutil.copytree(corpus.parent, own)
    test, trained = rows.index[rows["split"] == "test"][0], rows.index[rows["split"] == "train"][0]
    shutil.copy(own / rows["path"][trained], own / rows["path"][test])
    run = tmp_path / "run"
    shutil.copytree(healthy, run)
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(corpus), str(own / "manifest.csv")))
    finding = found(run)["leakage"]
    assert finding.seen.startswith("1 of 12 test clips show the same picture as a train clip")


def test_one_clip_under_two_names_in_two_parts(healthy: Path, corpus: Path, tmp_path: Path) -> None:
    """The same stretch of the same file under another id and subject; another stretch of it would be no copy."""
    known = Manifest.read(corpus)
    rows = known.frame.assign(path=[str(known.row(id_).path) for id_ in known.ids])
    judged, trained = rows.index[rows["split"] == "validation"][:1], rows.index[rows["split"] == "train"][:1]
    rows.loc[judged, "path"] = rows.loc[trained, "path"].to_numpy()
    manifest = Manifest(rows, tmp_path, name="manifest.csv")
    protocol = Protocol.read(healthy / "protocol.json")
    (finding,) = look_for_leakage(protocol, manifest)
    assert finding.seen.startswith("1 of 12 validation clips show the same picture as a train clip under another name")
    assert finding.attempt == "take the copies out of the manifest, or give them the same subject and divide by it"
    rows = rows.assign(start=0.0, end=9.0)
    rows.loc[judged, "start"] = 0.2
    rows.loc[trained, "end"] = 0.2
    assert not list(look_for_leakage(protocol, Manifest(rows, tmp_path, name="manifest.csv")))


def blown_up(healthy: Path, losses: list[float], clip: float | None) -> list[Finding]:
    """Findings on logs with these losses, of a run of two classes with warm-up."""
    record = RunRecord.read(healthy)
    steps = np.arange(1, len(losses) + 1)
    rows = pd.DataFrame({"step": steps, "epoch": steps, "loss": losses, "lr": 0.1})
    optimiser = record.recipe.optimiser.model_copy(update={"clip": clip})
    recipe = record.recipe.model_copy(update={"optimiser": optimiser})
    return list(look_at_logs(replace(record, train=rows, recipe=recipe)))


def test_a_loss_that_blew_up_and_ended_at_guessing(healthy: Path) -> None:
    """Guessing between two classes costs 0.693; a loss that only starts high and falls is sound."""
    (finding,) = blown_up(healthy, [2.1, 0.9, 0.7, 0.69, 0.69], clip=1.0)
    assert finding.kind == "learning rate"
    assert finding.seen.endswith("the loss went up to 2.1 and came back to 0.69; guessing costs 0.693")
    assert "optimiser.clip" not in finding.attempt  # it is bounded already
    assert "warm up" not in finding.attempt
    (finding,) = blown_up(healthy, [2.1, 0.9, 0.7, 0.69, 0.69], clip=None)
    assert "optimiser.clip=1" in finding.attempt
    assert blown_up(healthy, [2.1, 0.9, 0.7, 0.5, 0.4], clip=1.0) == []


def test_a_learning_rate_of_10(train: Train) -> None:
    finding = found(train(SHORT | {"optimiser": {"lr": 10.0}}))["learning rate"]
    assert finding.severity == "serious"
    assert "times their own size" in finding.seen
    assert "now 10" in finding.attempt


def test_a_learning_rate_of_nothing(train: Train) -> None:
    finding = found(train(SHORT | {"optimiser": {"lr": 1e-8}}), clips=0)["learning rate"]
    assert finding.severity == "warning"
    assert "raise optimiser.lr" in finding.attempt


def test_a_loader_that_starves(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    read, ended = dataset.read_views, [math.inf]

    def slowly(*arguments: Any) -> Any:
        step = max(time.perf_counter() - ended[0], 0.0)  # since the clip before
        time.sleep(0.05 + 3 * step)  # longer than that, however slow the machine is
        views = read(*arguments)
        ended[0] = time.perf_counter()
        return views

    monkeypatch.setattr(dataset, "read_views", slowly)
    short = {"data": {"batch": 2, "workers": 0}, "schedule": {"steps": 8}, "intervals": {"log_steps": 2}}
    finding = found(train(SHORT | short), 0)["starvation"]
    assert "training waits for data" in finding.seen
    assert "0 worker(s)" in finding.seen


def test_where_not_a_number_comes_from(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.models.tubelet import TubeletEncoder

    usual = TubeletEncoder.read_out
    count = 0

    def breaks(self: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        features = usual(self, *arguments)
        return features if count <= 3 else type(features)(features.pooled / 0.0, features.tokens, features.frames)

    monkeypatch.setattr(TubeletEncoder, "read_out", breaks)
    with pytest.raises(MienError, match=r"at step 4 on clips .*the output of 'trained\.head") as caught:
        fit(make_recipe(TASK, corpus, **SHORT), tmp_path / "run", progress=False)
    finding = found(tmp_path / "run", clips=0)["not finite"]
    assert finding.seen == str(caught.value)
    assert finding.severity == "serious"


def stream_corpus(folder: Path, zeroed: bool) -> Path:
    """64 clips, 16 of them of validation, whose valence is what stream ``voice`` says; ``face`` says it, or is 0."""
    rng = np.random.default_rng(0)
    valence = rng.uniform(-1, 1, 64)
    pattern, direction = rng.normal(size=(2, 8))
    content = {}
    for number, value in enumerate(valence):
        for name in ("face", "voice"):
            values = pattern + value * direction + 0.3 * rng.normal(size=(4, 8))
            values *= not (zeroed and name == "face")
            content[name, f"c{number}"] = Stream(values.astype(np.float32), np.arange(4.0))
    streams = {name: StreamInput(name=name, width=8, steps=4) for name in ("face", "voice")}
    write_store(folder / "streams.safetensors", streams, content, {})
    rows = {"id": [f"c{n}" for n in range(64)], "path": [f"{n}.mp4" for n in range(64)], "valence": valence}
    rows |= {"subject": [f"s{n}" for n in range(64)], "split": ["train"] * 48 + ["val"] * 16}
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


@pytest.mark.parametrize("zeroed", [True, False])
def test_a_zeroed_modality(zeroed: bool, train: Train, tmp_path: Path) -> None:
    sections = {
        "model": {"name": "viper_test", "arguments": {"streams": {"face": 8, "voice": 8}}},
        "task": {"kind": "intensities", "outputs": ["valence"]},
        "optimiser": {"lr": 1e-3},
        "schedule": {"epochs": 20, "warmup_epochs": 2},
        "data": {"batch": 16},
        "intervals": {"validate_epochs": 10},
    }
    findings = found(train(sections, stream_corpus(tmp_path, zeroed)))
    assert set(findings) - {"starvation"} == ({"dead modality"} if zeroed else set())
    if zeroed:
        assert findings["dead modality"].seen == "face is one constant value in all 16 clips that were looked at"


def answers(named: list[int], truth: list[int], classes: int = 3) -> Predictions:
    output = np.eye(classes)[named]
    clips = [
        ClipPrediction(f"c{i:02}", output[i : i + 1], np.array([truth[i]]), np.full(1, np.nan), 1)
        for i in range(len(truth))
    ]
    return Predictions(tuple(clips))


def test_a_class_that_is_never_predicted_and_one_that_always_is() -> None:
    task = create_task(TaskConfig(kind="classification", outputs=("calm", "joy", "fear")))
    truth = [0, 1, 2] * 5
    empty = np.empty((0, 0))

    def kinds(named: list[int]) -> list[str]:
        seen = {"validation": Observation(15, (empty, empty), {}, answers(named, truth))}
        return [f"{one.kind}: {one.seen}" for one in look_at_answers(task, seen)]

    assert kinds(truth) == []
    (unused,) = kinds([0, 1, 1] * 5)
    assert unused == "unused class: 1 of 3 classes that validation clips show are never predicted: 'fear' (5 clips)"
    assert kinds([1] * 15)[0] == "collapse: 'joy' is predicted for all 15 validation clips"


@pytest.mark.parametrize(("said", "severity"), [([0, 0, 1], "warning"), ([0, 0, 4], "serious")])
def test_most_classes_unused_is_no_matter_of_rare_classes(said: list[int], severity: str) -> None:
    """Clips show classes 0, 1 and 2; classes 3 and 4 are never shown and ask for no answer."""
    task = create_task(TaskConfig(kind="classification", outputs=("calm", "joy", "fear", "anger", "pride")))
    empty = np.empty((0, 0))
    predictions = answers(said * 5, [0, 1, 2] * 5, classes=5)
    seen = {"validation": Observation(15, (empty, empty), {}, predictions)}
    (unused,) = look_at_answers(task, seen, judge_labels=False)
    assert (unused.kind, unused.severity) == ("unused class", severity)
    assert ("class_weights" in unused.attempt) is (severity == "warning")


@pytest.mark.parametrize("by_heart", [True, False])
def test_answers_that_have_nothing_to_do_with_labels(by_heart: bool) -> None:
    """Training clips known by heart point at the labels; training clips not known either point at the training."""
    task = create_task(TaskConfig(kind="classification", outputs=("calm", "joy", "fear")))
    empty = np.empty((0, 0))
    truth, said = [0, 1, 2] * 8, [1, 2, 0] * 4 + [2, 0, 1] * 4
    seen = {
        part: Observation(24, (empty, empty), {}, answers(named, truth))
        for part, named in (("train", truth if by_heart else said), ("validation", said))
    }
    (finding,) = look_at_answers(task, seen)
    assert finding.kind == ("labels" if by_heart else "nothing learned")
    assert ("at the number of people" in finding.attempt) is by_heart
    assert ("optimiser.lr" in finding.attempt) is not by_heart


def test_agreement_is_the_exact_permutation_test() -> None:
    """8 clips of two classes, all right: one of 70 divisions is as good."""
    task = create_task(TaskConfig(kind="classification", outputs=("a", "b", "c")))
    value, chance, p = agreement(task, answers([0] * 4 + [1] * 4, [0] * 4 + [1] * 4))
    assert (value, chance) == (1.0, pytest.approx(0.5, abs=0.02))
    assert p == pytest.approx(1 / 70, abs=0.008)


@pytest.mark.parametrize("collapsed", [True, False])
def test_a_collapsed_byol(collapsed: bool, corpus: Path, tmp_path: Path) -> None:
    """Decay that leaves a tenth of every weight, norms included, at each step: nothing is left to tell clips apart."""
    sections: dict[str, Any] = {
        "data": {"protocol": {"by": "all"}, "sampling": {"frames": 8, "fps": 25.0, "size": 32}, "batch": 8},
        "model": {"name": "vaerr_test", "arguments": {"widths": [8, 8, 8, 8]}},
        "pretext": {"kind": "byol", "options": {"projection": 8, "hidden": 16}},
        "optimiser": {"kind": "sgd", "lr": 0.01},
        "schedule": {"steps": 12},
        "intervals": {"log_steps": 2},
    }
    if collapsed:
        sections["optimiser"] |= {"lr": 0.1, "weight_decay": 9.0, "decay": "all"}
    fit(make_recipe(COMMON | {"name": "byol"}, corpus, **sections), tmp_path / "run", progress=False)
    findings = [one for one in diagnose(tmp_path / "run", 16).findings if one.kind == "collapse"]
    assert [one.severity for one in findings] == ["serious"] * len(findings)
    assert bool(findings) is collapsed, [one.seen for one in findings]


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no run: it lacks recipe\.yaml"):
        diagnose(tmp_path)
