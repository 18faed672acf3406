"""Faces that OpenFace has cut out: the same pixels and moments in clips, frames that it lost left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli.app import run
from mien.data.corpora import get_corpus
from mien.data.corpora.official import write_official
from mien.data.manifest import Manifest
from mien.data.openface import AlignedFolders
from mien.data.prepare import PrepareReport, prepare
from mien.data.settings import PrepareSettings
from mien.errors import UsageError
from mien.faces import CropRecipe
from mien.media import VideoReader, VideoWriter, probe

SETTINGS = PrepareSettings(crop=CropRecipe(size=48), exact=True)
TIMES = [0.0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.32, 0.36]  # no constant rate


def recording(path: Path) -> Path:
    """Eight grey pictures and a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = np.sin(np.arange(6400) / 10).astype(np.float32) / 2
    with VideoWriter(path, (64, 64), 25.0, sound_rate=16000) as out:
        for time in TIMES:
            out.write(np.full((64, 64, 3), 90, np.uint8), time)
        out.write_sound(tone)
    return path


def openface(
    folder: Path, name: str, lost: tuple[int, ...] = (), table: bool = True, count: int = 8
) -> list[np.ndarray]:
    """What FeatureExtraction leaves of a recording; pictures of lost frames are black."""
    rng = np.random.default_rng(len(name))
    pictures = [rng.integers(0, 255, (48, 48, 3), dtype=np.uint8) for _ in range(count)]
    aligned = folder / f"{name}_aligned"
    aligned.mkdir(parents=True)
    rows = ["frame, face_id, timestamp, confidence, success, gaze_0_x"]
    for number, picture in enumerate(pictures, start=1):
        seen = number not in lost
        Image.fromarray(picture if seen else 0 * picture).save(aligned / f"frame_det_00_{number:06d}.bmp")
        rows.append(f"{number}, 0, {number / 30:.3f}, {0.98 if seen else 0.1}, {int(seen)}, 0.5")
    if table:
        (folder / f"{name}.csv").write_text("\n".join(rows))
    return pictures


def prepared(inputs: list[Path], tmp_path: Path) -> tuple[PrepareReport, Manifest]:
    report = prepare(inputs, tmp_path / "out", SETTINGS, aligned=tmp_path / "openface")
    return report, Manifest.read(report.manifest)


def test_pictures_keep_their_pixels_and_moments(tmp_path: Path) -> None:
    pictures = openface(tmp_path / "openface", "take", lost=(2, 5))
    (tmp_path / "openface/take_aligned/frame_det_00_000002.bmp").unlink()  # as with -nobadaligned
    assert AlignedFolders.find(tmp_path / "openface").side == 48
    _, manifest = prepared([recording(tmp_path / "take.mp4")], tmp_path)
    row = manifest.frame.iloc[0]
    assert (row["frames"], row["face_share"], row["face_score"]) == (6, 0.75, 0.98)
    assert np.isnan(row["face_size"])
    path = manifest.row(manifest.ids[0]).path
    kept = [0, 2, 3, 5, 6, 7]
    with VideoReader(path) as video:
        assert video.times == pytest.approx([TIMES[at] for at in kept], abs=1e-3)
        assert (video.at_indices(range(6)) == np.stack([pictures[at] for at in kept])).all()
    assert probe(path).sound is not None


def test_without_its_table_every_picture_counts(tmp_path: Path) -> None:
    openface(tmp_path / "openface", "take", lost=(2,), table=False)
    _, manifest = prepared([recording(tmp_path / "take.mp4")], tmp_path)
    row = manifest.frame.iloc[0]
    assert (row["frames"], row["face_share"]) == (8, 1.0)
    assert np.isnan(row["face_score"])


def test_every_recording_answers_for_itself(tmp_path: Path) -> None:
    """No face, no pictures, pictures of something else: told one by one; a new table is read again."""
    openface(tmp_path / "openface", "blind", lost=tuple(range(1, 9)))
    openface(tmp_path / "openface", "long", count=9)
    openface(tmp_path / "openface", "good")
    twins = tmp_path / "openface/twins_aligned"
    openface(tmp_path / "openface", "twins")
    Image.new("RGB", (48, 48)).save(twins / "frame_det_01_000003.bmp")
    names = ["blind", "good", "long", "none", "twins"]
    inputs = [recording(tmp_path / f"raw/{name}.mp4") for name in names]
    report, manifest = prepared(inputs, tmp_path)
    assert [record.status for record in report.records] == ["no face", "ok", "failed", "failed", "failed"]
    reasons = [record.reason for record in report.records]
    assert "OpenFace saw no face in any picture" in reasons[0]
    assert "frame_det_00_000009.bmp: picture 9 of a recording with 8 frames" in reasons[2]
    assert "OpenFace has left no none_aligned" in reasons[3]
    assert "a second face of that frame" in reasons[4]
    table = tmp_path / "openface/good.csv"
    table.write_text(table.read_text().replace("0.98, 1", "0.2, 0", 1))
    assert prepared(inputs, tmp_path)[1].frame["frames"].tolist() == [7]
    assert manifest.frame["frames"].tolist() == [8]


def test_names_that_repeat_go_by_their_folders(tmp_path: Path) -> None:
    """eNTERFACE'05 calls all files of subject 11 as those of subject 12."""
    takes = [f"subject {number}/anger/sentence 1" for number in (11, 12)]
    first = openface(tmp_path / "openface" / takes[0], "s12_an_1")
    openface(tmp_path / "openface" / takes[1] / "s12_an_1", "s12_an_1", lost=(8,))
    inputs = [recording(tmp_path / "raw" / take / "s12_an_1.mp4") for take in takes]
    _, manifest = prepared([tmp_path / "raw"], tmp_path)
    assert manifest.frame["frames"].tolist() == [8, 7]
    with VideoReader(manifest.row(manifest.ids[0]).path) as video:
        assert (video.at_indices([0])[0] == first[0]).all()
    flat = tmp_path / "flat"
    openface(flat, "s12_an_1")
    with pytest.raises(UsageError, match=r"s12_an_1_aligned: subject 11.* and subject 12.* are called so"):
        prepare([tmp_path / "raw"], tmp_path / "out2", SETTINGS, aligned=flat)
    alone = recording(tmp_path / "s12_an_1.mp4")
    with pytest.raises(UsageError, match=r"s12_an_1.mp4: .*subject 11.* and .*subject 12.* are called so"):
        prepare([alone], tmp_path / "out3", SETTINGS, aligned=tmp_path / "openface")
    for folder in (tmp_path / "raw", tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="give where OpenFace wrote its results"):
            prepare(inputs, tmp_path / "out4", SETTINGS, aligned=folder)


def test_the_folder_is_walked_once_and_never_in_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openface(tmp_path / "openface/deep", "take")
    (tmp_path / "openface/deep/up").symlink_to(tmp_path / "openface")
    (tmp_path / "elsewhere").mkdir()
    openface(tmp_path / "elsewhere/more", "other")
    (tmp_path / "openface/linked").symlink_to(tmp_path / "elsewhere")
    recording(tmp_path / "take.mp4")
    walks, walk = [], os.walk

    def counted(folder: Path, followlinks: bool) -> Iterator[tuple[str, list[str], list[str]]]:
        walks.append(folder)
        yield from walk(str(folder), followlinks=followlinks)

    monkeypatch.setattr("mien.data.openface.os.walk", counted)
    known = AlignedFolders.find(tmp_path / "openface").known
    below = {name: [path.relative_to(tmp_path).as_posix() for path in paths] for name, paths in known.items()}
    assert below == {"take": ["openface/deep/take_aligned"], "other": ["openface/linked/more/other_aligned"]}
    walks.clear()
    call = ["mien", "prepare", str(tmp_path / "take.mp4"), "--openface", str(tmp_path / "openface"), "--jobs", "1"]
    monkeypatch.setattr("sys.argv", [*call, "--out", str(tmp_path / "out")])
    assert run() == 0
    assert len(walks) == 1
    (clip,) = (tmp_path / "out/clips").iterdir()
    with VideoReader(clip) as video:
        assert video.at_indices([0]).shape == (1, 48, 48, 3)


def test_a_public_corpus(tmp_path: Path) -> None:
    """CREMA-D as the authors of MAE-DFER took it: official ids, people and folds, OpenFace's faces."""
    names = ("1001_DFA_NEU_XX", "1019_TIE_HAP_XX")
    for name in names:
        recording(tmp_path / f"copy/VideoFlash/{name}.mp4")
        openface(tmp_path / "openface", name)
    listing = "\n".join(['"Stimulus_Number","Filename"', *(f'1,"{name}"' for name in names)])
    (tmp_path / "copy/SentenceFilenames.csv").write_text(listing)
    copy = write_official(get_corpus("crema-d"), tmp_path / "copy", tmp_path / "out", uncut=True)
    _, manifest = prepared([copy.manifest], tmp_path)
    assert manifest.ids == list(names)
    assert manifest.frame[["label", "subject", "fold"]].to_numpy().tolist() == [
        ["neutral", "1001", "1"],
        ["happy", "1019", "2"],
    ]
