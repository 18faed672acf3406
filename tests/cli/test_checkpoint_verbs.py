"""``mien models``, ``mien convert`` and ``mien bundle`` as a user types them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from mien.checkpoints.bundle import save
from mien.cli.app import run
from mien.models import create_encoder, default_inputs
from mien.models.specification import Specification


@pytest.fixture
def mien(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        code = run()
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    specification = Specification(model="videomae_test", inputs=default_inputs("videomae_test"))
    return save(create_encoder("videomae_test"), specification, tmp_path / "bundle")


def test_models_lists_describes_and_refuses(mien) -> None:
    code, out, _ = mien("models", "videomae_*")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        f"videomae_{size}" for size in ("base", "huge", "large", "small", "test")
    ]
    assert "arXiv 2203.12602" in mien("models", "videomae_base")[1]
    rows = json.loads(mien("models", "videomae_test", "--json")[1])
    assert rows[0]["inputs"]["video"]["size"] == 64
    code, _, error = mien("models", "nothing*")
    assert code == 2
    assert error == "mien: no registered model matches 'nothing*'; `mien models` lists all\n"


def test_bundle_show_and_verify(mien, bundle: Path) -> None:
    code, out, _ = mien("bundle", "show", bundle)
    assert code == 0
    assert "Prohibited and restricted uses" in out
    assert json.loads(mien("bundle", "show", bundle, "--json")[1])["model"] == "videomae_test"
    code, out, _ = mien("bundle", "verify", bundle)
    assert (code, out.count("ok  ")) == (0, 4)
    (bundle / "config.json").write_text((bundle / "config.json").read_text() + " ")
    code, out, _ = mien("bundle", "verify", bundle, "--json")
    assert code == 1
    assert [check["ok"] for check in json.loads(out)] == [True, False, True, True]


def test_convert_both_ways_and_its_refusals(mien, bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "published.safetensors"
    assert mien("convert", "videomae", bundle, "--out", file, "--to-published")[0] == 0
    code, _, error = mien("convert", "videomae", file, "--out", tmp_path / "back", "--heads", 4)
    assert code == 1
    assert error.startswith("mien: ")
    assert len(error.splitlines()) == 1
    text = tmp_path / "notes.pth"
    text.write_text("hello")
    code, _, error = mien("convert", "videomae", text, "--out", tmp_path / "back")
    assert (code, len(error.splitlines())) == (1, 1)
    code, _, error = mien("convert", "videmae", text, "--out", tmp_path / "back")
    assert (code, len(error.splitlines())) == (2, 1)
    assert not (tmp_path / "back").exists()
