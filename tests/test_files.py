"""The digest of a file, and its refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import MienError
from mien.files import sha256


def test_digest_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["absent", "."])
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(MienError, match="cannot be read"):
        sha256(tmp_path / name)
