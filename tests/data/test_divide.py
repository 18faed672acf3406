"""Rounds of a cross-validation, groups that stay whole, and what parts share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mien.data.contents import same_content
from mien.data.divide import divide, report_leaks
from mien.data.leakage import overlaps
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol, folds
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError


def written(folder: Path, contents: list[bytes], **columns: list[object]) -> Path:
    folder.mkdir(exist_ok=True)
    for at, content in enumerate(contents):
        (folder / f"{at}.mp4").write_bytes(content)
    rows = {"id": [f"r{at}" for at in range(len(contents))], "path": [f"{at}.mp4" for at in range(len(contents))]}
    Manifest(pd.DataFrame({**rows, **columns}), folder).write(folder / "manifest.csv")
    return folder / "manifest.csv"


def test_leave_one_out_tests_everybody_once(tmp_path: Path) -> None:
    path = written(tmp_path / "c", [b"a"] * 5, subject=["s1", "s2", "s2", "s10", "s1"])
    made = divide(path, {"by": "leave_one_out"}, tmp_path / "out")
    assert list(made) == ["fold-s1", "fold-s10", "fold-s2"]
    assert sorted(id_ for one in made.values() for id_ in one.test) == [f"r{at}" for at in range(5)]
    assert Protocol.read(tmp_path / "out/fold-s2.json") == made["fold-s2"]
    assert made["fold-s2"].train == ("r0", "r3", "r4")


def test_people_who_share_a_group_stay_together(tmp_path: Path) -> None:
    """Pairs a-b and b-c share groups, so the three are one unit; whoever is left out takes the partner away too."""
    table = Manifest.read(
        written(tmp_path / "c", [b"a"] * 6, subject=list("abbcde"), group=["1", "1", "2", "2", "3", "4"])
    )
    tests = []
    for fold in range(3):
        protocol = Protocol.from_manifest(table, ProtocolSettings(by="subject", fold=fold, folds=3))
        tests.append(set(protocol.test))
        assert not set(protocol.train) & set(protocol.test)
    assert {"r0", "r1", "r2", "r3"} in tests
    alone = Protocol.from_manifest(table, ProtocolSettings(by="leave_one_out", fold="a"))
    assert (alone.test, alone.train) == (("r0",), ("r2", "r3", "r4", "r5"))
    assert alone.notes == ()


def test_rounds() -> None:
    table = Manifest(pd.DataFrame({"path": ["a", "b", "c"], "fold": ["10", "9", "9"], "corpus": ["x", "y", "x"]}), "/")
    assert folds(table, ProtocolSettings(by="fold", fold=9)) == ["9", "10"]
    assert folds(table, ProtocolSettings(by="corpus", fold="x")) == ["x", "y"]
    assert folds(table, ProtocolSettings(by="random", fold=0, folds=3)) == ["0", "1", "2"]
    with pytest.raises(UsageError, match="by='split' divides once"):
        folds(table, ProtocolSettings())


def test_leaks_are_reported_with_everything_shared(tmp_path: Path) -> None:
    columns = {"split": ["train", "train", "test", "test"], "subject": list("abcc"), "source": ["v", "w", "v", "x"]}
    path = written(tmp_path / "c", [b"same", b"one", b"two", b"same"], **columns)
    report = report_leaks(path, [], content=True)
    assert [(one.noun, one.values) for one in report.found["split"]] == [
        ("source video", ("v",)),
        ("content", ("r0 = r3",)),
    ]
    assert report.betrayed == ("split",)
    assert "LEAK: training and test share 1 file(s) of equal content: r0 = r3" in report.text()
    assert "LEAK: training and test share 1 source" not in report.text()
    clean = report_leaks(path, [])
    assert clean.betrayed == ()
    assert "--content compares" in clean.text()
    with pytest.raises(UsageError, match="neither split nor fold"):
        report_leaks(written(tmp_path / "d", [b"a"]), [])


def test_equal_content_of_files_folders_and_stretches(tmp_path: Path) -> None:
    for name, pictures in (("a", b"12"), ("b", b"12"), ("c", b"13")):
        (tmp_path / name).mkdir()
        for at, content in enumerate(pictures):
            (tmp_path / name / f"{at}.jpg").write_bytes(bytes([content]) * 9)
    (tmp_path / "v.mp4").write_bytes(b"video")
    rows = {"path": ["a", "b", "c", "v.mp4", "v.mp4", "gone.mp4"], "start": [0, 0, 0, 0, 2, 0],
            "end": [None, None, None, 2, 4, None], "id": list("abcvwx")}  # fmt: skip
    table = Manifest(pd.DataFrame(rows), tmp_path)
    assert same_content(table, table.ids) == [("a", "b")]
    protocol = Protocol(train=("a", "v"), test=("b", "w"))
    nouns = [one.noun for one in overlaps(protocol, table, content=True)]
    assert nouns == ["file", "content"]
