from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mien.data.manifest import Manifest
from mien.data.synthetic import CLASSES, SyntheticSettings, film_two_faces, synthesise
from mien.data.synthetic import corpus as module
from mien.errors import MienError, UsageError
from mien.media import VideoReader, VideoWriter, read_sound

TINY = SyntheticSettings(clips=4, subjects=2, seconds=0.8, fps=10, size=64)


def pixels(path: Path) -> NDArray[np.uint8]:
    with VideoReader(path) as video:
        return np.stack([frame.image for frame in video.frames()])


def test_videos_have_the_length_and_sound_they_should(tiny_corpus: Manifest) -> None:
    settings = SyntheticSettings.model_validate(settings_of(tiny_corpus.root))
    for id_ in tiny_corpus.ids[:4]:
        row = tiny_corpus.row(id_)
        assert pixels(row.path).shape == (settings.frames, settings.size, settings.size, 3)
        sound = read_sound(row.path)
        assert sound is not None
        assert len(sound.samples) / sound.rate == pytest.approx(settings.seconds, abs=0.15)


def settings_of(folder: Path) -> dict[str, object]:
    stored = json.loads((folder / "synthetic.json").read_text())
    stored.pop("version")
    return dict(stored)


def test_classes_are_even_and_subjects_are_in_one_split_and_fold(tiny_corpus: Manifest) -> None:
    table = tiny_corpus.frame
    assert set(table["label"]) == set(CLASSES)
    assert table["label"].value_counts().max() - table["label"].value_counts().min() <= 1
    assert (table.groupby("subject")[["split", "fold"]].nunique() == 1).all(axis=None)
    assert set(table["split"]) == {"train", "validation", "test"}


def test_labels_over_time_agree_with_the_manifest(tiny_corpus: Manifest) -> None:
    for id_ in tiny_corpus.ids:
        row = tiny_corpus.row(id_)
        assert row.labels is not None
        annotation = pd.read_csv(row.labels)
        with VideoReader(row.path) as video:
            assert annotation["time"].to_numpy() == pytest.approx(video.times, abs=1e-3)
        assert annotation["valence"].mean() == pytest.approx(tiny_corpus.column("valence")[id_], abs=1e-3)
        label = tiny_corpus.column("label")[id_]
        apex = annotation.loc[annotation["arousal"].abs().idxmax()]
        assert (label == "neutral") == (apex["arousal"] == 0)
        if label in ("happiness", "surprise"):
            assert apex["arousal"] > 0
        if label == "sadness":
            assert apex["valence"] < 0 > apex["arousal"]


def test_pixels_depend_on_the_seed_alone(tmp_path: Path) -> None:
    one = synthesise(tmp_path / "one", TINY, workers=1)
    two = synthesise(tmp_path / "two", TINY, workers=2)
    other = synthesise(tmp_path / "other", TINY.model_copy(update={"seed": 1}), workers=1)
    assert one.frame.equals(two.frame)
    for id_ in one.ids:
        first, second, third = (pixels(corpus.row(id_).path) for corpus in (one, two, other))
        assert np.array_equal(first, second)
        assert not np.array_equal(first, third)


def test_interrupted_work_goes_on(tmp_path: Path) -> None:
    whole = synthesise(tmp_path / "corpus", TINY, workers=1)
    gone, kept = (whole.row(id_).path for id_ in whole.ids[:2])
    expected, stamp = pixels(gone), kept.stat().st_mtime_ns
    gone.unlink()
    (whole.root / "manifest.csv").unlink()
    again = synthesise(tmp_path / "corpus", TINY, workers=1)
    assert again.frame.equals(whole.frame)
    assert np.array_equal(pixels(gone), expected)
    assert kept.stat().st_mtime_ns == stamp
    assert not list(whole.root.rglob("*.part"))


def test_work_that_was_killed_as_it_began_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, *_: object) -> None:
        path.with_name(f"{path.name}.part").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as while_written:
        while_written.setattr(module, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            synthesise(tmp_path / "corpus", TINY, workers=1)
    assert len(synthesise(tmp_path / "corpus", TINY, workers=1)) == TINY.clips


def test_another_corpus_is_not_overwritten(tmp_path: Path) -> None:
    synthesise(tmp_path / "corpus", TINY, workers=1)
    with pytest.raises(UsageError, match="another seed"):
        synthesise(tmp_path / "corpus", TINY.model_copy(update={"seed": 9}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(UsageError, match="not an empty folder"):
        synthesise(tmp_path / "mine", TINY)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clips": 3, "subjects": 5}, "give every subject a clip"),
        ({"test": 0.6, "validation": 0.5}, "no subject to train on"),
        ({"rest": (0.5, 0.1)}, "ascending"),
        ({"size": 65}, "multiple of 2"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SyntheticSettings(**wrong)  # type: ignore[arg-type]


def test_two_people_are_where_the_table_says(tmp_path: Path) -> None:
    truth = film_two_faces(tmp_path / "two.mp4", TINY, seconds=1.0, size=(240, 136))
    stored = pd.read_csv(tmp_path / "two.csv")
    assert len(truth) == len(stored) == 20
    frames = pixels(tmp_path / "two.mp4")
    assert frames.shape == (10, 136, 240, 3)
    left, right = (truth[truth["person"] == person] for person in (0, 1))
    assert (left["x"].to_numpy() + left["radius"].to_numpy() < right["x"].to_numpy() - right["radius"].to_numpy()).all()


def test_equal_pictures_give_equal_files(tiny_corpus: Manifest, tmp_path: Path) -> None:
    images = pixels(tiny_corpus.row(tiny_corpus.ids[0]).path)
    written = set()
    for number in range(20):  # encoders that read stray memory differ only now and then
        path = tmp_path / f"{number}.mp4"
        with VideoWriter(path, (images.shape[2], images.shape[1]), fps=10) as video:
            for image in images:
                video.write(image)
        written.add(pixels(path).tobytes())
    assert len(written) == 1


def test_a_process_that_dies_over_and_over_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(work: object, tasks: range, jobs: int, crashed: Callable[[int], object]) -> object:
        return ((task, crashed(task)) for task in tasks)

    monkeypatch.setattr(module, "map_processes", dying)
    with pytest.raises(MienError, match="the process that filmed subject 0 died twice") as caught:
        synthesise(tmp_path / "corpus", TINY, workers=2)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert len(synthesise(tmp_path / "corpus", TINY, workers=1)) == 4
    assert not (tmp_path / "corpus" / ".lock").exists()
