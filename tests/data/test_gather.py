"""Gathering: files, folders and manifests become one list in a fixed order, with names that do not clash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.data.gather import clip_path, files_below, gather
from mien.errors import UsageError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_folders_are_searched_throughout_in_the_order_of_names(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.MP4", "a.webm", "b/1.avi", "notes.txt", ".hidden.mp4", ".git/x.mp4", "out/clips/old.mp4")
    found = gather([tmp_path], tmp_path / "out")
    assert [source.name for source in found] == ["a.webm", "b/1.avi", "b/2.MP4"]
    assert [source.row.path for source in found] == [tmp_path / name for name in ("a.webm", "b/1.avi", "b/2.MP4")]
    assert not any(source.labelled for source in found)


def test_links_are_followed_and_never_round_in_a_circle(tmp_path: Path) -> None:
    """A disk elsewhere is often linked in; a link upwards would list everything some forty times."""
    touch(tmp_path, "disk/c.mp4", "films/a/x.mp4")
    (tmp_path / "films/b").symlink_to(tmp_path / "disk")
    (tmp_path / "films/a/up").symlink_to("..")
    (tmp_path / "disk/back").symlink_to(tmp_path / "films")
    assert list(files_below(tmp_path / "films")) == ["a/x.mp4", "b/c.mp4"]
    assert [source.name for source in gather([tmp_path / "films"], tmp_path / "out")] == ["a/x.mp4", "b/c.mp4"]


def test_a_folder_that_may_not_be_read_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(folder: Path) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "secret":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    real = os.scandir
    touch(tmp_path, "a.mp4", "secret/b.mp4")
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UsageError, match=r"secret: cannot be searched \(Permission denied\)"):
        gather([tmp_path], tmp_path / "out")


def test_ids_do_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    one, two = (gather([touch(tmp_path / name, "a/x.mp4", "b/x.mp4")], tmp_path / "o") for name in ("one", "two"))
    assert [source.id for source in one] == [source.id for source in two]
    assert len({source.id for source in one}) == 2


def test_equal_names_of_two_folders_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "one/x.mp4", "two/x.mp4")
    found = gather([tmp_path / "one", tmp_path / "two"], tmp_path / "o")
    assert len({source.id for source in found}) == 2
    assert [source.name for source in found] == [str(tmp_path / "one/x.mp4"), str(tmp_path / "two/x.mp4")]


def test_manifests_bring_targets_stretches_and_labels(tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    table.write_text("path,start,end,subject,emotion,labels,fps\nx/a.mp4,1,2,007,sad,l.csv,\nb.mp4,,,,happy,,\n")
    first, second = gather([table], tmp_path / "o")
    assert first.values == {"subject": "007", "emotion": "sad"}
    assert second.values == {"subject": None, "emotion": "happy"}
    assert (first.row.start, first.row.end, first.row.labels) == (1.0, 2.0, tmp_path / "l.csv")
    assert first.labelled
    plain = tmp_path / "plain.csv"
    plain.write_text("path\na.mp4\n")
    assert not gather([plain], tmp_path / "o")[0].labelled


def test_files_may_have_any_ending(tmp_path: Path) -> None:
    touch(tmp_path, "recording.dat")
    assert gather([tmp_path / "recording.dat"], tmp_path / "o")[0].name == "recording.dat"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["gone.mp4"], "gone.mp4: no such file or folder"),
        (["empty"], "no video in this folder"),
        (["a.mp4", "a.mp4"], "is given twice"),
        (["gone.csv"], "no such file"),
    ],
)
def test_refusals(tmp_path: Path, inputs: list[str], message: str) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        gather([tmp_path / name for name in inputs], tmp_path / "o")


def test_clips_stay_inside_the_output_whatever_a_source_is_called(tmp_path: Path) -> None:
    touch(tmp_path, "in/clips/a b/ü:1?.mp4", "elsewhere/y.mp4")
    table = tmp_path / "in" / "m.csv"
    table.write_text("path,label\n../elsewhere/y.mp4,1\n/abs/z.mp4,2\n")
    sources = gather([tmp_path / "in", table], tmp_path / "o")
    paths = [clip_path(source, "0") for source in sources]
    assert len(set(paths)) == 3
    for path in paths:
        assert path.parts[0] == "clips"
        assert ".." not in path.parts
        assert not path.is_absolute()
    assert paths[0].parts[1] == "a_b"
    assert paths[0].name.startswith("ü_1_-")
