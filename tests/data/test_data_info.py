"""The challenge's table as a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError

TABLE = "File_ID,Split,Adoration,Empathic-Pain\n[00001],Train,0.5,0.1\n[00002],Val,0.25,0.2\n[00003],Test,,\n"


def test_it_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "data_info.csv").write_text(TABLE)
    manifest = Manifest.read(tmp_path / "data_info.csv")
    assert manifest.ids == ["00001", "00002", "00003"]
    assert manifest.row("00002").path == tmp_path / "00002.mp4"
    assert manifest.column("Empathic-Pain").tolist()[:2] == [0.1, 0.2]
    protocol = Protocol.from_manifest(manifest, ProtocolSettings(by="split"))
    assert (protocol.train, protocol.validation, protocol.test) == (("00001",), ("00002",), ("00003",))


@pytest.mark.parametrize("text", [TABLE.replace("[00002]", "00002"), TABLE.replace("Split", "Part")])
def test_another_table_of_that_name_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "data_info.csv").write_text(text)
    with pytest.raises(UsageError):
        Manifest.read(tmp_path / "data_info.csv")
