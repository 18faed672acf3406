"""``mien predict`` and ``mien embed`` as a user meets them: files, exit codes, one clear line per fault."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mien.checkpoints.bundle import save
from mien.cli.app import run
from mien.faces import CropRecipe
from mien.inference import Timeline
from mien.media import VideoWriter
from mien.models.registry import default_inputs
from mien.models.specification import Specification, TaskConfig
from mien.tasks import create_model


def make_bundle(folder: Path, crop: CropRecipe | None) -> Path:
    torch.manual_seed(0)
    task = TaskConfig(kind="classification", outputs=("happiness", "sadness", "neutral"))
    inputs = default_inputs("videomae_test")
    assert inputs.video is not None
    inputs = inputs.model_copy(update={"video": inputs.video.model_copy(update={"crop": crop})})
    model = create_model("videomae_test", task)
    return save(model, Specification(model="videomae_test", inputs=inputs, task=task), folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes the whole picture."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "whole", None)


@pytest.fixture(scope="module")
def face_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes face crops."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "faces", CropRecipe(size=64))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "talk.mp4"
    with VideoWriter(path, (96, 64), fps=25, sound_rate=16000) as out:
        for index in range(50):
            out.write(np.full((64, 96, 3), 2 * index, np.uint8))
        out.write_sound(np.zeros(32000, np.float32))
    return path


def mien(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
    return run()


def test_every_form_is_written(bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    forms = ("--csv", "--json", "--parquet", "--eaf", "--html", "--overlay", "--thumbnails")
    assert mien(monkeypatch, "predict", video, "--model", bundle, "--out", tmp_path / "new" / "folder", *forms) == 0
    names = {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert names == {f"talk{suffix}" for suffix in (".csv", ".json", ".parquet", ".eaf", ".html", ".overlay.mp4")}
    table = Timeline.from_csv(tmp_path / "new" / "folder" / "talk.csv").frame
    assert len(table) == 10
    pd.testing.assert_frame_equal(table, Timeline.from_json(tmp_path / "new" / "folder" / "talk.json").frame)
    assert "data:image/jpeg" in (tmp_path / "new" / "folder" / "talk.html").read_text()


def test_a_form_that_needs_an_extra_is_refused_before_the_work(
    bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mien.cli.recordings.find_spec", lambda name: None)
    assert mien(monkeypatch, "predict", video, "--model", bundle, "--out", tmp_path, "--csv", "--parquet") == 2
    assert "--parquet needs pyarrow: pip install 'mien[parquet]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["csv", "json", "eaf", "html", "overlay"])
def test_a_form_alone_makes_the_folder(
    bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    out = tmp_path / "new" / "folder"
    assert mien(monkeypatch, "predict", video, "--model", bundle, "--out", out, f"--{form}") == 0
    assert [path.name for path in out.iterdir()] == ["talk.overlay.mp4" if form == "overlay" else f"talk.{form}"]


def test_table_and_report_are_the_default_and_keep_no_pictures(
    bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien(monkeypatch, "predict", video, "--model", bundle, "--out", tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"talk.csv", "talk.html"}
    assert "data:image" not in (tmp_path / "talk.html").read_text()
    assert "1 face in 2.0 s, 10 rows" in capsys.readouterr().out


def test_machine_output(
    bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien(monkeypatch, "predict", video, "--model", bundle, "--out", tmp_path, "--json", "--step", "frame") == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["faces"], result["rows"], result["duration"], result["seen"]) == (1, 50, 2.0, 1.0)
    assert result["files"] == {"json": str(tmp_path / "talk.json")}


def test_embed(bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mien(monkeypatch, "embed", video, "--model", bundle, "--out", tmp_path) == 0
    table = Timeline.from_csv(tmp_path / "talk.features.csv")
    assert table.kind == "features"
    assert table.outputs == tuple(f"f{i}" for i in range(64))
    assert len(table) == 10


def test_a_recording_that_fails_does_not_stop_the_others(
    bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("this is no video")
    code = mien(monkeypatch, "predict", broken, video, "--model", bundle, "--out", tmp_path / "out", "--csv")
    said = capsys.readouterr()
    assert code == 1
    assert (tmp_path / "out" / "talk.csv").is_file()
    assert not (tmp_path / "out" / "broken.csv").exists()
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"mien: {broken}: ")


def truncated(video: Path, folder: Path) -> Path:
    path = folder / "truncated.mp4"
    path.write_bytes(video.read_bytes()[:2000])
    return path


def test_bad_recordings_give_one_line_each(
    bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    truncated(video, tmp_path)
    for name, words, expected in [
        ("missing.mp4", "no such file", 2),
        ("empty.mp4", "is empty", 1),
        ("text.mp4", "is no readable video or sound", 1),
        ("truncated.mp4", "truncated.mp4: ", 1),
        ("", "is a folder", 2),
    ]:
        code = mien(monkeypatch, "predict", tmp_path / name, "--model", bundle, "--out", tmp_path / "out")
        said = capsys.readouterr()
        assert code == expected, name
        assert words in said.err, name
        assert said.err.strip().count("\n") == 0, said.err
        assert not list(tmp_path.glob("out/*"))


def test_sound_alone_for_a_model_that_only_sees(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wave

    with wave.open(str(tmp_path / "voice.wav"), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(32000))
    assert mien(monkeypatch, "predict", tmp_path / "voice.wav", "--model", bundle, "--out", tmp_path) == 1
    said = capsys.readouterr().err
    assert "holds sound only, and the model videomae_test sees but does not hear" in said
    assert said.strip().count("\n") == 0


def test_no_face_is_no_error(
    face_bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien(monkeypatch, "predict", video, "--model", face_bundle, "--out", tmp_path) == 0
    assert "no face in 2.0 s, 10 rows" in capsys.readouterr().out
    assert Timeline.from_csv(tmp_path / "talk.csv").frame["happiness"].isna().all()
    assert "No face was seen" in (tmp_path / "talk.html").read_text()


def test_requests_that_make_no_sense(
    bundle: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "talk.webm").touch()
    for code, words, arguments in [
        (2, "which is a file, and a folder is written", (video, "--model", bundle, "--out", tmp_path / "file" / "sub")),
        (2, str(tmp_path / "empty"), (video, "--model", tmp_path / "empty", "--out", tmp_path)),
        (2, "--step 0", (video, "--model", bundle, "--step", "0")),
        (2, "--step soon", (video, "--model", bundle, "--step", "soon")),
        (2, "several recordings have this name", (video, tmp_path / "talk.webm", "--model", bundle)),
        (
            2,
            "a circumplex shows valence",
            (video, "--model", bundle, "--circumplex", "--csv", "--out", tmp_path / "no"),
        ),
        (2, "device 'abacus'", (video, "--model", bundle, "--device", "abacus", "--out", tmp_path)),
    ]:
        assert mien(monkeypatch, "predict", *arguments) == code, arguments
        said = capsys.readouterr().err
        assert words in said, said
        assert said.strip().count("\n") == 0, said
    assert not (tmp_path / "no").exists()  # refused before the work


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_help_shows_an_example(verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(monkeypatch, verb, "--help") == 0
    assert f"Example: mien {verb}" in " ".join(capsys.readouterr().out.split())


def test_real_recordings(face_bundle: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No face until 3.95 s, then one; and a short one with a face throughout."""
    videos = [samples / "pyfeat_noface_face.mov", samples / "pyfeat_single_face.mp4"]
    assert mien(monkeypatch, "predict", *videos, "--model", face_bundle, "--out", tmp_path, "--csv") == 0
    table = Timeline.from_csv(tmp_path / "pyfeat_noface_face.csv").frame.reset_index()
    seen = table[table["happiness"].notna()]
    assert seen["start"].min() == pytest.approx(3.95, abs=0.1)
    assert seen["track"].nunique() == 1
    assert table[table["end"] <= 3.9]["happiness"].isna().all()
    whole = Timeline.from_csv(tmp_path / "pyfeat_single_face.csv").frame
    assert whole["happiness"].notna().all()
