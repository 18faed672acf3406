"""Manifest: ids, times, published lists, and one clear line for everything that is wrong."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.manifest import Manifest
from mien.data.targets import TargetSpec, clip_targets
from mien.errors import MienError, UsageError


def write(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_columns_and_resolves_paths(tmp_path: Path) -> None:
    outside = tmp_path.parent / "elsewhere.mp4"
    path = write(
        tmp_path,
        "path,start,end,subject,split,audio,labels,valence,emotion\n"
        "clips/a.mp4,1.5,4,0012,train,sound/a.wav,labels/a.csv,0.25,happy\n"
        f"{outside},,,NA,test,,,-1,None\n",
    )
    manifest = Manifest.read(path)
    first, second = (manifest.row(id_) for id_ in manifest.ids)
    assert (first.path, first.audio, first.labels) == (
        tmp_path / "clips/a.mp4",
        tmp_path / "sound/a.wav",
        tmp_path / "labels/a.csv",
    )
    assert (first.start, first.end, first.subject) == (1.5, 4.0, "0012")
    assert (second.path, second.start, second.end, second.subject) == (outside, 0.0, math.inf, "NA")
    assert list(manifest.column("valence")) == [0.25, -1.0]
    assert list(manifest.column("emotion")) == ["happy", "None"]


def test_header_may_hold_blanks_a_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xef\xbb\xbfpath , subject \r\na.mp4, 7\r\n")
    assert Manifest.read(path).row(Manifest.read(path).ids[0]).subject == "7"


@pytest.mark.parametrize("sign", [";", "\t"])
def test_spreadsheets_with_semicolons_and_decimal_commas_are_read(sign: str, tmp_path: Path) -> None:
    """As Excel writes CSV in most of Europe."""
    lines = [
        "path;subject;start;valence;note;slip",
        "a.mp4;007;0,5;-1,25;1,2,3;0,5",
        'b.mp4;008;;;"x;y";good',
        "c.mp4;008;;0,5;;0,25",
    ]
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).replace(";", sign).encode())
    manifest = Manifest.read(tmp_path / "m.csv")
    assert next(iter(manifest.column("valence"))) == -1.25
    assert manifest.column("valence").isna().tolist() == [False, True, False]
    assert (manifest.row(manifest.ids[0]).start, manifest.row(manifest.ids[0]).subject) == (0.5, "007")
    assert list(manifest.column("note"))[:2] == ["1,2,3", f"x{sign}y"]
    with pytest.raises(UsageError, match=r"m.csv: row 2 \(b.mp4\) has slip = 'good', which is not a number"):
        clip_targets(manifest, manifest.ids, TargetSpec(("slip",)))


def test_a_comma_within_a_field_of_a_table_with_commas_stays(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text('path,size\na;b.mp4,"1,234"\n')
    manifest = Manifest.read(tmp_path / "m.csv")
    assert list(manifest.column("size")) == ["1,234"]


def test_ids_do_not_depend_on_order_or_folder_but_on_file_and_stretch(tmp_path: Path) -> None:
    rows = pd.DataFrame({"path": ["a.mp4", "a.mp4", "b.mp4"], "start": [0.0, 2.0, 0.0], "end": [2.0, 4.0, None]})
    one = Manifest(rows, tmp_path)
    other = Manifest(rows.iloc[[2, 0, 1]], tmp_path / "moved")
    assert len(set(one.ids)) == 3
    assert [other.ids[1], other.ids[2], other.ids[0]] == one.ids
    assert Manifest(pd.DataFrame({"path": ["./a.mp4"]}), tmp_path).ids == Manifest(rows[["path"]][:1], tmp_path).ids


def test_given_ids_are_kept_and_gaps_filled(tmp_path: Path) -> None:
    manifest = Manifest.read(write(tmp_path, "id,path\nfirst,a.mp4\n,b.mp4\n"))
    assert manifest.ids[0] == "first"
    assert len(manifest.ids[1]) == 16


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_survives_writing_and_moving(tmp_path: Path, suffix: str) -> None:
    table = write(tmp_path, "path,subject,fold,start,valence,emotion\na.mp4,01,1,0.1,0.3333333333333333,sad\n")
    manifest = Manifest.read(table)
    manifest.write(tmp_path / f"copy{suffix}")
    manifest.write(tmp_path / "deep" / f"copy{suffix}")
    for copy in (tmp_path / f"copy{suffix}", tmp_path / "deep" / f"copy{suffix}"):
        again = Manifest.read(copy)
        assert again.ids == manifest.ids
        assert again.row(again.ids[0]) == manifest.row(manifest.ids[0])
        assert list(again.column("fold")) == ["1"]
        assert list(again.column("valence")) == [1 / 3]
    assert not list(tmp_path.rglob("*.part"))


def test_select_keeps_the_order_asked_for(tmp_path: Path) -> None:
    manifest = Manifest(pd.DataFrame({"path": list("abc"), "id": list("xyz")}), tmp_path)
    assert manifest.select(["z", "x"]).ids == ["z", "x"]
    with pytest.raises(UsageError, match="no row has id 'q'"):
        manifest.select(["q"])


@pytest.mark.parametrize(
    ("text", "paths", "labels"),
    [
        ("clips/a 1.mp4 3\nclips/b.mp4 0\n", ["clips/a 1.mp4", "clips/b.mp4"], [3, 0]),
        ("a.mp4,3\nb.mp4,0\n\n", ["a.mp4", "b.mp4"], [3, 0]),
        ("Crime/Angry/0063 Angry\nTalk/Happy/0001 Happy", ["Crime/Angry/0063", "Talk/Happy/0001"], ["Angry", "Happy"]),
        ("00025.mp4 anger\n", ["00025.mp4"], ["anger"]),
    ],
)
def test_reads_the_published_list(tmp_path: Path, text: str, paths: list[str], labels: list[object]) -> None:
    manifest = Manifest.read(write(tmp_path, text, "train.csv"))
    assert [manifest.row(id_).path for id_ in manifest.ids] == [tmp_path / path for path in paths]
    assert list(manifest.column("label")) == labels


def test_published_list_may_name_folders_and_hold_several_numbers(tmp_path: Path) -> None:
    (tmp_path / "02522").mkdir()
    manifest = Manifest.read(write(tmp_path, "02522 0.5 -0.25\n02523 1 0\n", "list.txt"))
    assert list(manifest.frame["path"]) == ["02522", "02523"]
    assert list(manifest.column("target_1")) == [-0.25, 0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the table is empty"),
        ("path,label\n", "a header but no rows"),
        ("video_name,label\n1,2\n", "no column 'path'.*video_name, label"),
        ("path,label\na.mp4,1,2,3\n", "not a CSV table"),
        ("path,label\n,1\n", "row 1 has no path"),
        ("path\nhttps://somewhere/a.mp4\n", "not a file name"),
        ("path,start\na.mp4,soon\n", "start of 'a.mp4' is 'soon'"),
        ("path,start,end\na.mp4,4,2\n", "end must come after start"),
        ("path,start\na.mp4,-1\n", "start must be 0 or later"),
        ("path,fps\na,0\n", "must be above 0"),
        ("path\na.mp4\nb.mp4\na.mp4\n", "rows 1, 3 have the same id .*tell rows of one file apart"),
        ("a.mp4 1\nb.mp4\n", "'b.mp4' does not have the form"),
    ],
)
def test_says_what_is_wrong_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Manifest.read(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_refuses_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        Manifest.read(tmp_path / "none.csv")
    (tmp_path / "video.csv").write_bytes(b"\x00\xff\xfe\x80" * 50)
    with pytest.raises(UsageError, match="is no text in UTF-8; save it as CSV in UTF-8"):
        Manifest.read(tmp_path / "video.csv")
    (tmp_path / "text.parquet").write_text("path\na.mp4\n")
    with pytest.raises(UsageError, match="not a Parquet table"):
        Manifest.read(tmp_path / "text.parquet")


def test_unwritable_folder_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    manifest = Manifest(pd.DataFrame({"path": ["a.mp4"]}), tmp_path)
    with pytest.raises(MienError, match="cannot be written"):
        manifest.write(tmp_path / "file" / "manifest.csv")


name = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\0"), min_size=1)


@settings(max_examples=60)
@given(st.lists(st.tuples(name, name), min_size=1, max_size=5, unique_by=lambda row: row[0]))
def test_any_text_survives_a_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("round")
    frame = pd.DataFrame({"id": [f"{at}" for at in range(len(rows))], "path": "x.mp4", "subject": [r[1] for r in rows]})
    Manifest(frame, folder).write(folder / "m.csv")
    read = Manifest.read(folder / "m.csv")
    expected = [None if text in {"nan", "NaN"} else text for _, text in rows]
    assert [read.row(id_).subject for id_ in read.ids] == expected


def test_needs_no_torch() -> None:
    code = "import mien.data.manifest, mien.data.protocol, mien.data.sampling, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
