"""Masked pretraining, fine-tuning and evaluation of SVFAP and MAE-DFER by their recipes, as users give the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from mien.data.manifest import Manifest

Here = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.slow

SMALL = ["data.batch=6", "data.workers=0", "model.arguments={}", "hardware={accelerator: cpu, threads: 1}"]


def said(here: Here, *arguments: object) -> str:
    """What the command prints, which must succeed."""
    code, out, err = here(*arguments)
    assert code == 0, err
    return out


def way(system: str, manifest: Path, classes: str, folder: Path, here: Here) -> None:
    """Pretrain, fine-tune and judge; what pretraining learned must reach the fine-tuned run and the report."""
    data = [f"data.manifest={manifest}", "data.corpus=here", "data.sampling.stride=1", *SMALL]
    pretrained, tuned = folder / "pretrained", folder / "tuned"
    out = said(
        here,
        *("pretrain", f"{system}/pretrain_synthetic", *data, "schedule={steps: 4}", "intervals.gallery_epochs=1"),
        *("--run", pretrained, "--json"),
    )
    assert json.loads(out)["steps"] == 4
    assert list((pretrained / "gallery").glob("*.png"))
    out = said(
        here,
        *("train", f"{system}/finetune_synthetic", *data, f"model.init={pretrained}", f"task.outputs={classes}"),
        *("optimiser.lr=1e-6", "schedule={steps: 2}", "--run", tuned, "--json"),
    )
    assert json.loads(out)["steps"] == 2
    before, after = (load_file(place / "bundle" / "model.safetensors") for place in (pretrained, tuned))
    name = "encoder.blocks.0.mlp.expand.weight"
    learned = before.get(name, before.get(name.removeprefix("encoder.")))
    assert learned is not None
    assert float((after[name] - learned).abs().max()) < 1e-4, "it starts where pretraining ended"
    out = said(here, "evaluate", tuned, "--data", manifest, "--out", folder / "judged")
    assert "UAR" in out
    ledger = json.loads((tuned / "bundle" / "config.json").read_text())["provenance"]["ledger"]
    assert [entry["stage"] for entry in ledger] == ["pretraining", "fine-tuning"]
    result = json.loads((folder / "judged" / "metrics.json").read_text())
    assert result["data"]["scored"] == result["data"]["clips"] > 0
    assert (folder / "judged" / "report.html").exists()


@pytest.mark.parametrize("system", ["svfap", "maedfer"])
def test_on_animated_faces(system: str, tiny_corpus: Manifest, tmp_path: Path, here: Here) -> None:
    classes = "[neutral, happiness, sadness, surprise, fear, disgust, anger]"
    way(system, tiny_corpus.root / "manifest.csv", classes, tmp_path, here)


def test_on_real_faces(samples: Path, tmp_path: Path, here: Here) -> None:
    """Three recordings, cut by ``mien prepare``: one train person smiles in the middle; another person is judged."""
    names = ("grid_bbaf2n.mpg", "grid_brbk7n.mpg", "pyfeat_single_face.mp4")
    clips = tmp_path / "clips"
    said(here, "prepare", *(samples / name for name in names), "--out", clips, "--faces", "main", "--size", 64, "-j", 1)
    rows = []
    for _, clip in Manifest.read(clips / "manifest.csv").frame.iterrows():
        for number in range(3):
            smiles = clip["source"] == names[2] and number == 1
            rows.append(
                {
                    "id": f"{clip['id']}-{number}",
                    "path": clip["path"],
                    "start": 0.7 * number,
                    "end": 0.7 * number + 0.7,
                    "subject": clip["source"],
                    "split": "test" if clip["source"] == names[1] else "train",
                    "label": "smile" if smiles else "neutral",
                }
            )
    manifest = clips / "windows.csv"
    pd.DataFrame(rows).to_csv(manifest, index=False)
    for system in ("svfap", "maedfer"):
        way(system, manifest, "[neutral, smile]", tmp_path / system, here)
