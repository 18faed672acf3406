"""Strict JSON, the digest of a file, and whether a folder can be written."""

from __future__ import annotations

import errno
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mien.errors import MienError
from mien.files import check_writable, complete, finite, sha256, write_json


def test_json_is_strict(tmp_path: Path) -> None:
    write_json(
        tmp_path / "new" / "a.json", {"ccc": math.nan, "ends": (1.5, -math.inf), "who": "Ána", "n": 3, "by": None}
    )
    text = (tmp_path / "new" / "a.json").read_text(encoding="utf-8")
    assert "Ána" in text
    assert text.endswith("\n")
    expected = {"ccc": None, "ends": [1.5, None], "who": "Ána", "n": 3, "by": None}
    assert json.loads(text, parse_constant=pytest.fail) == expected
    assert finite(math.nan) is None
    assert finite(0.5) == 0.5


def test_digest_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["absent", "."])
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(MienError, match="cannot be read"):
        sha256(tmp_path / name)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "make room and start the command again"),
        (OSError("I/O error: No space left on device (os error 28)"), "make room and start the command again"),
        (PermissionError(errno.EACCES, "Permission denied"), "choose a folder that you may write to"),
    ],
)
def test_a_full_disk_wants_room_and_no_other_folder(tmp_path: Path, error: OSError, remedy: str) -> None:
    def write() -> None:
        with complete(tmp_path / "a.csv") as part:
            part.write_text("half")
            raise error

    with pytest.raises(MienError, match=remedy):
        write()
    assert list(tmp_path.iterdir()) == []


def test_many_ask_at_once_whether_a_folder_can_be_written(tmp_path: Path) -> None:
    def ask(_: int) -> None:
        for _ in range(200):
            check_writable(tmp_path / "new" / "run")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    assert list(tmp_path.iterdir()) == []
