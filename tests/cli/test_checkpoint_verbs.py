"""``mien models``, ``mien convert`` and ``mien bundle`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mien.checkpoints.bundle import save
from mien.models import create_encoder, default_inputs
from mien.models.specification import Specification

Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    specification = Specification(model="videomae_test", inputs=default_inputs("videomae_test"))
    return save(create_encoder("videomae_test"), specification, tmp_path / "bundle")


def test_models_lists_describes_and_refuses(here: Here) -> None:
    code, out, _ = here("models", "videomae_*")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        f"videomae_{size}" for size in ("base", "huge", "large", "small", "test")
    ]
    assert "arXiv 2203.12602" in here("models", "videomae_base")[1]
    rows = json.loads(here("models", "videomae_test", "--json")[1])
    assert rows[0]["inputs"]["video"]["size"] == 64
    code, _, error = here("models", "nothing*")
    assert code == 2
    assert error == "mien: no registered model matches 'nothing*'; `mien models` lists all\n"


def test_bundle_show_and_verify(here: Here, bundle: Path) -> None:
    code, out, _ = here("bundle", "show", bundle)
    assert code == 0
    assert "Prohibited and restricted uses" in out
    assert json.loads(here("bundle", "show", bundle, "--json")[1])["model"] == "videomae_test"
    code, out, _ = here("bundle", "verify", bundle)
    assert (code, out.count("ok  ")) == (0, 4)
    (bundle / "config.json").write_text((bundle / "config.json").read_text() + " ")
    code, out, _ = here("bundle", "verify", bundle, "--json")
    assert code == 1
    assert [check["ok"] for check in json.loads(out)] == [True, False, True, True]


def test_convert_both_ways_and_its_refusals(here: Here, bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "published.safetensors"
    assert here("convert", "videomae", bundle, "--out", file, "--to-published")[0] == 0
    code, _, error = here("convert", "svfap", bundle, "--out", tmp_path / "other.safetensors", "--to-published")
    assert (code, "holds videomae_test, which is no model of svfap" in error) == (2, True)
    assert not (tmp_path / "other.safetensors").exists()
    code, _, error = here("convert", "videomae", file, "--out", tmp_path / "back", "--heads", 4)
    assert code == 1
    assert error.startswith("mien: ")
    assert len(error.splitlines()) == 1
    text = tmp_path / "notes.pth"
    text.write_text("hello")
    code, _, error = here("convert", "videomae", text, "--out", tmp_path / "back")
    assert (code, len(error.splitlines())) == (1, 1)
    code, _, error = here("convert", "videmae", text, "--out", tmp_path / "back")
    assert (code, len(error.splitlines())) == (2, 1)
    assert not (tmp_path / "back").exists()
