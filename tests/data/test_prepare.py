"""Preparation: manifest, report, carried columns, and the same result after every interruption."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.data import prepare as module
from mien.data.manifest import Manifest
from mien.data.prepare import prepare
from mien.data.protocol import Protocol
from mien.data.settings import PrepareSettings
from mien.errors import MienError, UsageError
from mien.faces import CropRecipe
from mien.faces.types import Frame, TrackedFace, TrackedFrame
from mien.media import VideoWriter

SETTINGS = PrepareSettings(crop=CropRecipe(size=32))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A face at a fixed place in every bright frame, instead of the detector; counts the recordings followed."""
    followed: list[str] = []

    def follow(frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        followed.append("")
        for frame in frames:
            bright = frame.image.mean() > 60
            faces = [TrackedFace(0, np.array([8.0, 8.0, 40.0, 40.0]), 0.9, None, "detected")] if bright else []
            yield TrackedFrame(frame.index, frame.time, frame.image, faces)

    monkeypatch.setattr(module, "_follower", lambda settings: follow)
    return followed


def video(path: Path, shade: int, frames: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, (64, 48), 25.0) as out:
        for number in range(frames):
            out.write(np.full((48, 64, 3), shade + number % 5, dtype=np.uint8))
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of raw recordings: three with faces, one without, and three that cannot be read."""
    folder = tmp_path / "raw"
    for number in range(3):
        video(folder / f"s{number}/talk.mp4", 100 + 20 * number)
    video(folder / "dark.mp4", 10)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a video\n" * 50)
    (folder / "cut.mp4").write_bytes((folder / "s0/talk.mp4").read_bytes()[:400])
    return folder


def contents(out: Path) -> dict[str, bytes]:
    """All results of a preparation; what is hidden (journal, lock) does not count."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(out).parts)
    }


def test_clips_manifest_and_report(corpus: Path, tmp_path: Path, scripted: list[str]) -> None:
    steps: list[tuple[int, int]] = []
    report = prepare([corpus], tmp_path / "out", SETTINGS, progress=lambda *step: steps.append(step))
    assert steps == [(done, 7) for done in range(8)]
    manifest = Manifest.read(report.manifest)
    assert list(manifest.frame["source"]) == ["s0/talk.mp4", "s1/talk.mp4", "s2/talk.mp4"]
    assert list(manifest.frame["group"]) == list(manifest.frame["source"])
    assert list(manifest.frame["frames"]) == [20, 20, 20]
    assert all(manifest.row(id_).path.is_file() for id_ in manifest.ids)
    summary = json.loads((tmp_path / "out/report.json").read_text())
    assert [summary[name] for name in ("sources", "clips", "ok", "no_face", "failed")] == [7, 3, 3, 1, 3]
    table = pd.read_csv(tmp_path / "out/report.csv").set_index("source")
    assert table.loc["dark.mp4", "status"] == "no face"
    for name in ("empty.mp4", "text.mp4", "cut.mp4"):
        assert table.loc[name, "status"] == "failed"
        assert name in table.loc[name, "reason"]


def test_values_of_a_manifest_are_carried_over(tmp_path: Path, scripted: list[str]) -> None:
    for number in range(4):
        video(tmp_path / f"{number}.mp4", 100)
    table = tmp_path / "table.csv"
    pd.DataFrame(
        {
            "id": [f"clip{n}" for n in range(4)],
            "path": [f"{n}.mp4" for n in range(4)],
            "subject": ["01", "01", "02", "02"],
            "split": ["train", "train", "test", "test"],
            "valence": [0.1, -0.5, 0.25, 1 / 3],
            "emotion": ["sad", "None", "happy", "sad"],
        }
    ).to_csv(table, index=False)
    before = Manifest.read(table)
    after = Manifest.read(prepare([table], tmp_path / "out", SETTINGS).manifest)
    assert after.ids == before.ids
    for column in ("subject", "split", "valence", "emotion"):
        assert list(after.column(column)) == list(before.column(column)), column
    assert Protocol.from_manifest(after).digest == Protocol.from_manifest(before).digest


def test_a_second_call_does_only_what_is_new(corpus: Path, tmp_path: Path, scripted: list[str]) -> None:
    prepare([corpus], tmp_path / "out", SETTINGS)
    first, count = contents(tmp_path / "out"), len(scripted)
    prepare([corpus], tmp_path / "out", SETTINGS)
    assert len(scripted) == count
    assert contents(tmp_path / "out") == first
    video(corpus / "new.mp4", 150)
    assert prepare([corpus], tmp_path / "out", SETTINGS).clips == 4
    assert len(scripted) == count + 1
    assert len(contents(tmp_path / "out")) == len(first) + 1


def test_changed_recordings_settings_and_lost_clips_are_done_again(
    corpus: Path, tmp_path: Path, scripted: list[str]
) -> None:
    out = tmp_path / "out"
    report = prepare([corpus], out, SETTINGS)
    first, count = contents(out), len(scripted)
    (out / report.with_status("ok")[0].clips[0]["path"]).unlink()
    (out / report.with_status("ok")[1].clips[0]["path"]).write_bytes(b"")
    prepare([corpus], out, SETTINGS)
    assert len(scripted) == count + 2
    assert contents(out) == first
    video(corpus / "s1/talk.mp4", 120, frames=30)
    assert list(Manifest.read(prepare([corpus], out, SETTINGS).manifest).frame["frames"]) == [20, 30, 20]
    assert len(scripted) == count + 3
    prepare([corpus], out, SETTINGS.model_copy(update={"quality": 30}))
    assert len(scripted) == count + 7


def test_clips_that_are_no_longer_made_are_removed(corpus: Path, tmp_path: Path, scripted: list[str]) -> None:
    out = tmp_path / "out"
    prepare([corpus], out, SETTINGS)
    video(corpus / "s1/talk.mp4", 10)
    prepare([corpus], out, SETTINGS)
    assert len(list((out / "clips").rglob("*.mp4"))) == 2


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_interruption_leaves_nothing_half_done(corpus: Path, tmp_path: Path, scripted: list[str], stop: int) -> None:
    prepare([corpus], tmp_path / "whole", SETTINGS)

    def interrupt(done: int, total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([corpus], tmp_path / "out", SETTINGS, progress=interrupt)
    assert not (tmp_path / "out/manifest.csv").exists()
    prepare([corpus], tmp_path / "out", SETTINGS)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_errors_that_nobody_foresaw_are_reported_not_hidden(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: list[str]
) -> None:
    original = module.cut_faces

    def stumble(source: object, *rest: object) -> object:
        if "s1" in source.name:  # type: ignore[attr-defined]
            raise ValueError("odd\nnumbers")
        return original(source, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "cut_faces", stumble)
    report = prepare([corpus], tmp_path / "out", SETTINGS)
    reason = next(record.reason for record in report.records if record.source == "s1/talk.mp4")
    assert reason == "internal error, please report it (ValueError: odd numbers)"


def test_nothing_made_at_all_is_an_error(tmp_path: Path, scripted: list[str]) -> None:
    (tmp_path / "raw").mkdir()
    video(tmp_path / "raw/dark.mp4", 10)
    with pytest.raises(MienError, match=r"no clip came of 1 input: .*dark.mp4: no upright face is in sight for 0.5 s"):
        prepare([tmp_path / "raw"], tmp_path / "out", SETTINGS)
    assert (tmp_path / "out/report.csv").is_file()


def test_two_preparations_do_not_share_a_folder(corpus: Path, tmp_path: Path, scripted: list[str]) -> None:
    def again(done: int, total: int) -> None:
        prepare([corpus], tmp_path / "out", SETTINGS)

    with pytest.raises(UsageError, match="is being written by process"):
        prepare([corpus], tmp_path / "out", SETTINGS, progress=again)


def test_unwritable_output_gives_one_line(corpus: Path, tmp_path: Path, scripted: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/out is a file or lies in one, and a folder is written") as caught:
        prepare([corpus], tmp_path / "file" / "out", SETTINGS)
    assert "\n" not in str(caught.value)
