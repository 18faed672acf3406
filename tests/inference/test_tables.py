from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.errors import MienError
from mien.inference.timeline import FileInfo, Timeline, make_timeline


@pytest.fixture(params=["classified", "circumplex"])
def timeline(request: pytest.FixtureRequest) -> Timeline:
    return request.getfixturevalue(request.param)


def test_csv_reads_back_equal(timeline: Timeline, tmp_path: Path) -> None:
    back = Timeline.from_csv(timeline.to_csv(tmp_path / "t.csv"))
    pd.testing.assert_frame_equal(back.frame, timeline.frame)
    assert back.outputs == timeline.outputs


def test_csv_as_another_reader_sees_it(classified: Timeline, tmp_path: Path) -> None:
    with classified.to_csv(tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "file",
        "track",
        "start",
        "end",
        *classified.outputs,
        "prediction",
        "confidence",
        "face",
        "used",
        "abstain",
    ]
    assert len(rows) == len(classified)
    last = classified.frame.iloc[-1]
    assert rows[-1]["happiness"] == f"{last['happiness']:.6f}"
    unseen = [row for row in rows if row["prediction"] == ""]
    assert len(unseen) == int(classified.frame["confidence"].isna().sum())
    assert all(row["happiness"] == "" and row["confidence"] == "" and row["used"] == "" for row in unseen)


def test_class_called_none_survives_csv(tmp_path: Path, classified: Timeline) -> None:
    """pandas takes words such as NA, null and None for missing values unless told otherwise."""
    frame = classified.frame.rename(columns={"happiness": "None", "sadness": "NA"})
    frame["prediction"] = frame["prediction"].replace({"happiness": "None", "sadness": "NA"})
    outputs = ("None", "NA", *classified.outputs[2:])
    timeline = Timeline(frame, "classification", outputs, classified.files)
    pd.testing.assert_frame_equal(Timeline.from_csv(timeline.to_csv(tmp_path / "t.csv")).frame, frame)


def test_json_keeps_everything(timeline: Timeline, tmp_path: Path) -> None:
    back = Timeline.from_json(timeline.to_json(tmp_path / "t.json"))
    pd.testing.assert_frame_equal(back.frame, timeline.frame)
    assert back.tracks.to_dict("list") == timeline.tracks.to_dict("list")
    assert (back.kind, back.outputs, back.files, back.model, back.step) == (
        timeline.kind,
        timeline.outputs,
        timeline.files,
        timeline.model,
        timeline.step,
    )


def test_json_is_standard_json(classified: Timeline, tmp_path: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    content = json.loads(classified.to_json(tmp_path / "t.json").read_text(), parse_constant=refuse)
    happiness = [row[content["rows"]["columns"].index("happiness")] for row in content["rows"]["data"]]
    expected = classified.frame["happiness"].to_numpy()
    assert [value is None for value in happiness] == list(np.isnan(expected))


def test_parquet_reads_back_equal(timeline: Timeline, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    back = pd.read_parquet(timeline.to_parquet(tmp_path / "t.parquet"))
    pd.testing.assert_frame_equal(back.set_index(list(timeline.frame.index.names)), timeline.frame)
    assert back.attrs["mien"]["outputs"] == list(timeline.outputs)


def test_features_are_told_from_a_task_in_csv(tmp_path: Path) -> None:
    features = make_timeline({"a": []}, "features", ("f0", "f1", "f2"), {"a": FileInfo("a", 1.0)})
    assert Timeline.from_csv(features.to_csv(tmp_path / "t.csv")).kind == "features"


@pytest.mark.parametrize(
    ("text", "words"), [("a,b\n1,2\n", "'file' is missing"), ("", "not a readable CSV"), ("\x00\x01", "missing")]
)
def test_foreign_csv_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(MienError, match=words):
        Timeline.from_csv(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}'])
def test_foreign_json_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(MienError, match=r"x\.json"):
        Timeline.from_json(path)


def test_a_failed_write_leaves_the_old_file_and_no_part(classified: Timeline, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(MienError, match="cannot be written"):
        classified.to_csv(path / "t.csv")
    (tmp_path / "t.csv.part").mkdir()
    with pytest.raises(MienError, match="cannot be written"):
        classified.to_csv(path)
    assert path.read_text() == "old"


def test_the_same_timeline_gives_the_same_bytes(classified: Timeline, tmp_path: Path) -> None:
    for write in (classified.to_csv, classified.to_json):
        assert write(tmp_path / "1").read_bytes() == write(tmp_path / "2").read_bytes()
