"""RAVDESS: the design of the corpus is its list; one take never becomes two rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.corpora.building import write
from tests.data.corpora.miniatures import ravdess

from mien.data.corpora import get_corpus
from mien.data.corpora.official import write_official, write_protocols
from mien.data.corpora.ravdess import takes
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.errors import MienError, UsageError
from mien.training.recipe import load_recipe


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    ravdess(root)
    return root


def test_speech_is_complete_and_as_published(copy: Path, tmp_path: Path) -> None:
    corpus = get_corpus("ravdess")
    done = write_official(corpus, copy, tmp_path)
    assert done.findings == ()
    frame = Manifest.read(done.manifest).frame
    assert len(frame) == frame["group"].nunique() == 1440
    row = frame.set_index("id").loc["01-01-06-02-01-02-12"]
    assert (row["label"], row["subject"], row["fold"], row["intensity"], row["sex"]) == (
        "fearful", "12", "3", "strong", "female",
    )  # fmt: skip
    protocols = write_protocols(corpus, done.manifest, tmp_path)
    assert [(len(one.train), len(one.test)) for one in protocols.values()] == [(1200, 240)] * 6
    # Folds of actors: every note is about where the division comes from, none about shared people.
    assert all(len(one.notes) == 1 for one in protocols.values())


def test_songs_follow_their_own_design() -> None:
    songs = takes("song")
    assert len(songs) == 1012
    assert not [take for take in songs if take[-1] == "18" or take[1] in {"07", "08"}]
    assert len(takes("both")) == 1440 + 1012


def test_an_absent_actor_is_told_with_every_clip(copy: Path, tmp_path: Path) -> None:
    corpus = get_corpus("ravdess")
    with pytest.raises(MienError, match=r"1,380 of .* are not in copy\d: 02-.*; unpack Video_Speech_Actor_\*.zip, or"):
        write_official(corpus, copy, tmp_path, {"pictures": "silent"})
    with pytest.raises(UsageError, match=r"none of the 1,012 designed clips"):
        corpus.scan(copy, channel="song")


def test_sound_of_its_own(copy: Path, tmp_path: Path) -> None:
    for take in takes():
        if take[-1] == "24":
            write(tmp_path, f"Actor_24/02-{'-'.join(take)}.mp4", "x")
            write(tmp_path, f"sound/Actor_24/03-{'-'.join(take)}.wav", "x")
    (tmp_path / "sound/Actor_24/03-01-01-01-01-01-24.wav").unlink()
    scan = get_corpus("ravdess").scan(tmp_path, pictures="silent", sound="wav")
    assert len(scan.frame) == 59
    assert all(Path(row.audio).name[2:-4] == row.id[2:] for row in scan.frame.itertuples())
    assert any("1 take(s) have no wav" in finding.text for finding in scan.of_level("error"))


def test_the_fusion_paper_tests_its_actors_and_a_second_reading_is_the_same(copy: Path, tmp_path: Path) -> None:
    corpus = get_corpus("ravdess")
    first, second = (write_official(corpus, copy, tmp_path / name).manifest for name in ("once", "twice"))
    assert first.read_bytes() == second.read_bytes()
    manifest = Manifest.read(first)
    protocol = Protocol.from_manifest(manifest, load_recipe("avfusion/ia_softhard_ravdess").data.protocol)
    actors = {part: {id_[-2:] for id_ in getattr(protocol, part)} for part in ("train", "validation", "test")}
    assert actors["test"] == {"05", "10", "16", "19"}
    assert actors["validation"] == {"11", "13", "18", "22"}
    assert len(actors["train"]) == 16
    assert [len(ids) for ids in (protocol.train, protocol.validation, protocol.test)] == [960, 240, 240]
    by_actor = load_recipe("avfusion/lt_none_ravdess", ["data.protocol={by: fold, fold: 2, validation_fold: 3}"])
    folds = Protocol.from_manifest(manifest, by_actor.data.protocol)
    assert {id_[-2:] for id_ in folds.test} == {"05", "06", "07", "08"}
    assert {id_[-2:] for id_ in folds.validation} == {"09", "10", "11", "12"}
