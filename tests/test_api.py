"""The public names as a program meets them: what they look like, and what they say to arguments that are wrong."""

from __future__ import annotations

import copy
import pickle
import random
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import mien
from mien.checkpoints.conversion import convert
from mien.media import VideoWriter
from mien.models import default_inputs
from mien.models.specification import Specification, TaskConfig

CALM = TaskConfig(kind="classification", outputs=("calm", "angry"))


@pytest.fixture
def bundle(tmp_path: Path) -> mien.Bundle:
    specification = Specification(model="videomae_test", inputs=default_inputs("videomae_test"), task=CALM)
    return mien.load(mien.save(mien.create_model("videomae_test", CALM), specification, tmp_path / "bundle"))


def test_the_package_lists_its_names_alone() -> None:
    assert mien.__all__ == sorted(mien.__all__)
    assert [name for name in dir(mien) if not name.startswith("__")] == sorted(mien.__all__)
    assert all(getattr(mien, name).__doc__ for name in mien.__all__)


def test_a_bundle_is_one_line_and_travels(bundle: mien.Bundle) -> None:
    assert repr(bundle) == (
        f"Bundle(videomae_test, classification per clip: calm, angry, folder={str(bundle.folder)!r})"
    )
    assert bundle in {bundle}
    sent = pickle.loads(pickle.dumps(bundle))
    assert sent.specification == bundle.specification
    assert all((sent.model.state_dict()[name] == value).all() for name, value in bundle.model.state_dict().items())


def test_tables_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({"path": ["a.mp4", "b.mp4"], "split": ["train", "test"], "subject": ["s1", "s2"]})
    manifest = mien.Manifest(table)
    assert repr(manifest) == "Manifest('manifest', 2 clips, columns: id, path, subject, split)"
    assert manifest.row(manifest.ids[0]).path == tmp_path / "a.mp4"
    protocol = mien.Protocol.from_manifest(manifest)
    assert (
        repr(protocol)
        == str(protocol)
        == (f"Protocol(train: 1, validation: 0, test: 1, by='split', digest={protocol.digest[:12]!r})")
    )


def test_timelines_are_told_apart_by_identity() -> None:
    rows = pd.DataFrame({"f0": [], "face": [], "used": []}).set_axis(
        pd.MultiIndex.from_arrays([[]] * 4, names=["file", "track", "start", "end"])
    )
    timeline = mien.Timeline(rows, "features", ("f0",))
    assert timeline == timeline
    assert timeline != copy.copy(timeline)
    assert timeline in {timeline}


@pytest.mark.parametrize(
    ("path", "model", "settings", "line"),
    [
        (np.zeros((4, 8, 8, 3), np.uint8), None, None, "a ndarray is no recording; give the path of a file"),
        ([], None, None, "no recording is named"),
        (["a.mp4", 3], None, None, "a int is no recording"),
        ("a.mp4", 3, None, "model is a int; give the bundle that mien.load returns, or its folder"),
        ("a.mp4", None, {"step": 1}, r"settings={'step': 1}: give mien.PredictSettings"),
        ("a.mp4", None, mien.PredictSettings(device="gpu"), "device 'gpu' is not there"),
    ],
)
@pytest.mark.parametrize("call", [mien.predict, mien.embed])
def test_predictions_refuse_in_one_line(
    bundle: mien.Bundle, call: Any, path: Any, model: Any, settings: Any, line: str
) -> None:
    with pytest.raises(mien.UsageError, match=line):
        call(path, bundle if model is None else model, settings)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("checkpoints.bundle", "load"),
        ("checkpoints.bundle", "save"),
        ("checkpoints.conversion", "convert"),
        ("checkpoints.conversion", "export"),
        ("checkpoints.verification", "verify"),
        ("data.synthetic", "synthesise"),
        ("evaluation.assess", "evaluate"),
        ("evaluation.calibrating", "calibrate"),
        ("evaluation.folds", "aggregate"),
        ("evaluation.submission", "write_submission"),
        ("explanation.explain", "explain"),
        ("extraction.extract", "extract"),
        ("inference", "embed"),
        ("inference", "predict"),
        ("training", "fit"),
        ("training.folds", "cross_validate"),
    ],
)
def test_paths_may_be_text(module: str, name: str) -> None:
    function = getattr(import_module(f"mien.{module}"), name)
    for argument, kind in function.__annotations__.items():
        assert "Path" not in kind or argument == "return" or "str" in kind or "PathLike" in kind, argument


def test_convert_takes_text_and_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(mien.MienError, match="is not a file; give a checkpoint"):
        convert("videomae", str(tmp_path / "lost.pth"), str(tmp_path / "out"))
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(mien.MienError, match=r"text\.pth"):
        convert("videomae", str(tmp_path / "text.pth"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_models_refuse_in_one_line(bundle: mien.Bundle) -> None:
    with pytest.raises(mien.UsageError, match=r"give a TaskConfig\(kind=..., outputs=...\)"):
        mien.create_model("videomae_test", "classification")  # type: ignore[call-overload]
    with pytest.raises(mien.UsageError, match="source=3 is no place of a bundle"):
        mien.load(3)  # type: ignore[arg-type]
    with pytest.raises(mien.UsageError, match="device 'gpu' is not there on this machine"):
        mien.load(bundle.folder, device="gpu")


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_one_bad_recording_among_many(bundle: mien.Bundle, tmp_path: Path, jobs: int) -> None:
    films = [tmp_path / name for name in ("a.mp4", "b.mp4")]
    for film in films:
        with VideoWriter(film, (64, 48), fps=25) as out:
            for shade in range(10):
                out.write(np.full((48, 64, 3), 8 * shade, np.uint8))
    (tmp_path / "notes.txt").write_text("no film")
    paths = [films[0], tmp_path / "notes.txt", tmp_path / "lost.mp4", films[1]]
    outcomes = {outcome.path: outcome for outcome in mien.predict_each(paths, bundle, jobs=jobs)}
    assert outcomes.keys() == set(map(str, paths))
    for film in films:
        timeline = outcomes[str(film)].timeline
        assert timeline is not None
        assert timeline.frame.equals(mien.predict(film, bundle).frame)
    assert "is no readable video" in str(outcomes[str(paths[1])].error)
    assert "no such file" in str(outcomes[str(paths[2])].error)


def test_reading_leaves_the_state_of_the_program_alone(bundle: mien.Bundle, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (64, 48), fps=25) as out:
        for shade in range(10):
            out.write(np.full((48, 64, 3), 8 * shade, np.uint8))

    def state() -> tuple[Any, ...]:
        threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(), threads, precision  # type: ignore[index,union-attr]

    before = state()
    mien.predict(tmp_path / "a.mp4", mien.load(bundle.folder))
    mien.embed(tmp_path / "a.mp4", bundle)
    assert state() == before


def test_what_holds_for_all_recordings_is_raised(bundle: mien.Bundle) -> None:
    with pytest.raises(mien.UsageError, match="named twice"):
        mien.predict_each(["a.mp4", "a.mp4"], bundle)
    with pytest.raises(mien.UsageError, match="jobs=0: give 1 or more"):
        mien.predict_each(["a.mp4"], bundle, jobs=0)
    with pytest.raises(mien.MienError, match="does not exist"):
        mien.predict_each(["a.mp4"], "no/such/bundle")
