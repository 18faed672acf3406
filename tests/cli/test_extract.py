"""``mien extract`` → ``train`` → ``evaluate`` on the synthetic corpus, with built-in and hub-format extractors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.extraction import checkpoints

from mien.data.manifest import Manifest
from mien.data.streams import StreamStore

Here = Callable[..., tuple[int, str, str]]


def recipe(manifest: Path, store: Path, streams: dict[str, int]) -> dict[str, Any]:
    return {
        "name": "small",
        "precision": "fp32",
        "hardware": {"accelerator": "cpu"},
        "data": {"manifest": str(manifest), "streams": str(store), "batch": 4, "workers": 0},
        "model": {"name": "viper_test", "arguments": {"streams": streams, "modality_embedding": True}},
        "task": {"kind": "intensities", "outputs": ["valence", "arousal"]},
        "optimiser": {"lr": 1e-3, "decay": "all"},
        "schedule": {"epochs": 2, "shape": "halving", "halve_epochs": 1},
    }


@pytest.mark.parametrize("source", ["built in", "hub format"])
def test_the_whole_way(source: str, tiny_corpus: Manifest, tmp_path: Path, here: Here) -> None:
    manifest, store = tiny_corpus.root / "manifest.csv", tmp_path / "streams.safetensors"
    features = "visual=logmel,audio=mfcc"
    if source == "hub format":
        pytest.importorskip("transformers")
        hub = checkpoints.make(tmp_path / "hub")
        features = f"visual=vit:{hub['vit']},audio=wavlm:{hub['wavlm']},text=clip:{hub['clip']}+{hub['roberta']}"
    code, out, err = here("extract", str(manifest), "--features", features, "--out", str(store), "--json")
    assert code == 0, err
    widths = {name: stream["width"] for name, stream in json.loads(out)["streams"].items()}
    assert json.loads(out)["failures"] == {}
    Path("recipe.yaml").write_text(
        yaml.safe_dump(recipe(manifest, store, {name: -(-w // 4) * 4 for name, w in widths.items()}))
    )
    code, _, err = here("train", "recipe.yaml", "--run", "run")
    assert code == 0, err
    code, out, err = here("evaluate", "run", "--data", str(manifest), "--streams", str(store), "--json")
    assert code == 0, err
    judged = json.loads((tmp_path / "run/evaluation/test/metrics.json").read_text())
    assert all(len(table) == 10 for table in judged["tenths"].values())
    code, _, err = here("evaluate", "run", "--data", str(manifest), "--streams", str(store), "--submission", "out.csv")
    assert code == 0, err
    header, *rows = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "File_ID,valence,arousal"
    assert len(rows) == judged["data"]["clips"]
    assert all(row.startswith("[") for row in rows)
    assert {"pearson", "pearson/valence", "pearson/arousal", "mse"} <= set(out.split('"'))
    told = json.loads((tmp_path / "run" / "bundle" / "config.json").read_text())["inputs"]["streams"]
    assert {stream["name"]: stream["extractor"] for stream in told} == {
        name: stream.extractor for name, stream in StreamStore(store).streams.items()
    }


def test_refusals(tiny_corpus: Manifest, tmp_path: Path, here: Here) -> None:
    manifest = tiny_corpus.root / "manifest.csv"
    for features in ("sound", "audio=unknown", "visual=bundle", "fau=openface:none", "visual=vit:nobody/nothing"):
        code, _, err = here("extract", str(manifest), "--features", features, "--out", str(tmp_path / "s"))
        assert code in (1, 2)
        assert len(err.strip().splitlines()) == 1
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe(manifest, tmp_path / "none", {"audio": 40})))
    code, _, err = here("train", "recipe.yaml", "--run", "run")
    assert code == 2
    assert "mien extract" in err
