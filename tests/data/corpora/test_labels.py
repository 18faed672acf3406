"""Shared class names, and manifests of several corpora in one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mien.data.corpora import corpora, get_corpus
from mien.data.corpora.labels import SETS, common_classes, join, relabelled, shared_names
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError
from mien.training.recipe import load_recipe


def table(folder: Path, name: str, labels: list[str], **columns: list[str]) -> Path:
    rows = {"id": [f"c{at}" for at in range(len(labels))], "path": [f"{at}.mp4" for at in range(len(labels))]}
    Manifest(pd.DataFrame({**rows, "label": labels, "corpus": name, **columns}), folder / name).write(
        folder / name / "manifest.csv"
    )
    return folder / name / "manifest.csv"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("dfew", "ferv39k"), SETS["7"]),
        (("dfew", "mafw"), SETS["7"]),
        (("crema-d", "enterface05"), ("happy", "sad", "angry", "disgust", "fear")),
        (("ravdess", "mafw"), SETS["7"]),
        (("crema-d", "dfew"), ("happy", "sad", "neutral", "angry", "disgust", "fear")),
        (("msp-face", "mafw"), SETS["8"]),
    ],
)
def test_what_corpora_share(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert common_classes(*(get_corpus(name).classes for name in names)) == expected


def test_a_name_means_the_same_in_every_corpus() -> None:
    known = shared_names()
    for corpus in corpora().values():
        for label in corpus.labels:
            assert known[label.name] == label.common
    assert SETS["11"] == tuple(label.common for label in get_corpus("mafw").labels)
    assert SETS["8-calm"] == tuple(label.common for label in get_corpus("ravdess").labels)
    assert SETS["7"] == tuple(label.common for label in get_corpus("dfew").labels)


def test_nothing_is_merged_unasked() -> None:
    labels = pd.Series(["calm", "fearful", "neutral", None])
    assert list(relabelled(labels, SETS["7"]).fillna("-")) == ["-", "fear", "neutral", "-"]
    assert list(relabelled(labels, SETS["7"], {"calm": "neutral"}).fillna("-")) == ["neutral", "fear", "neutral", "-"]
    with pytest.raises(UsageError, match="'bored' is not among the classes"):
        relabelled(labels, SETS["7"], {"calm": "bored"})


def test_names_are_told_alike_in_whatever_case_and_spelling(tmp_path: Path) -> None:
    one = table(tmp_path, "own", ["W\u00fctend", "Happy", "gelangweilt"])
    other = table(tmp_path, "theirs", ["Anger", "JOY", "Gelangweilt"])
    _, classes, left_out = join([one, other], tmp_path / "a.csv", merge={"Wu\u0308tend": "Anger"})
    assert classes == ("happy", "angry", "gelangweilt")
    assert left_out == {"own": 0, "theirs": 0}
    _, classes, left_out = join([one, other], tmp_path / "b.csv", classes="Gelangweilt,happiness")
    assert classes == ("gelangweilt", "happy")
    assert left_out == {"own": 1, "theirs": 1}


def test_joined_corpora_train_and_test_across(tmp_path: Path) -> None:
    one = table(tmp_path, "ravdess", ["fearful", "calm", "happy"], subject=["01", "01", "02"], fold=["1", "1", "1"])
    other = table(tmp_path, "crema-d", ["fear", "happy"], subject=["1001", "01"])
    joined, classes, left_out = join([one, other], tmp_path / "both.csv")
    assert classes == ("happy", "fear")
    assert left_out == {"ravdess": 1, "crema-d": 0}
    again = Manifest.read(tmp_path / "both.csv")
    assert again.ids == joined.ids == ["ravdess:c0", "ravdess:c2", "crema-d:c0", "crema-d:c1"]
    assert again.row("crema-d:c1").path == tmp_path / "crema-d/1.mp4"
    assert "fold" not in again.frame
    assert list(again.column("label_own")) == ["fearful", "happy", "fear", "happy"]
    protocol = Protocol.from_manifest(again, ProtocolSettings(by="corpus", fold="crema-d"))
    # Person 01 of one corpus is not person 01 of the other.
    assert (protocol.train, protocol.test) == (("ravdess:c0", "ravdess:c2"), ("crema-d:c0", "crema-d:c1"))
    assert protocol.notes == ()
    with pytest.raises(UsageError, match="cannot test on 'dfew' and train on others; it holds crema-d, ravdess"):
        Protocol.from_manifest(again, ProtocolSettings(by="corpus", fold="dfew"))


def test_joining_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    one = table(tmp_path, "dfew", ["happy"])
    with pytest.raises(UsageError, match="a second manifest of dfew"):
        join([one, one], tmp_path / "both.csv")
    other = table(tmp_path, "mine", ["bored"])
    with pytest.raises(UsageError, match="dfew, mine: no class is in all of them"):
        join([one, other], tmp_path / "both.csv")
    with pytest.raises(UsageError, match="classes '5'"):
        join([one], tmp_path / "both.csv", classes="5")
    assert not (tmp_path / "both.csv").exists()


@pytest.mark.parametrize("name", ["svfap/finetune_dfew", "svfap/finetune_mafw", "maedfer/finetune_ferv39k",
                                  "maedfer/finetune_ravdess", "avfusion/ia_none_ravdess"])  # fmt: skip
def test_recipes_name_the_classes_of_their_corpus(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.data.corpus is not None
    assert recipe.task is not None
    assert recipe.task.outputs == get_corpus(recipe.data.corpus).classes
