"""Modality dropout: marks, spans, and that nothing is left without anything. Published numbers: tests/parity."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.corpus import make_recipe
from torch import Tensor

from mien.errors import UsageError
from mien.training import fit
from mien.training.modality_dropout import drop_modalities
from mien.training.schema import ModalityDropout


def batch(clips: int = 6) -> dict[str, Tensor]:
    return {
        "video": torch.ones(clips, 3, 10, 4, 4),
        "video_present": torch.ones(clips, 10, dtype=torch.bool),
        "sound": torch.ones(clips, 5, 40),
        "sound_present": torch.ones(clips, 40, dtype=torch.bool),
        "target": torch.arange(clips),
    }


def drawn(settings: ModalityDropout, given: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    return drop_modalities(given, settings, torch.Generator().manual_seed(seed))


def test_softhard_leaves_no_clip_empty() -> None:
    given = batch()
    given["sound_present"][2] = False  # a silent recording
    done = drawn(ModalityDropout(kind="softhard"), given)
    there = done["video_present"].any(1) | done["sound_present"].any(1)
    assert there.all()
    counts = torch.bincount(done["target"])
    assert counts.tolist() == [4, 4, 3, 4, 4, 4]
    hard = ~done["sound_present"].any(1) & (done["target"] != 2)
    assert hard.sum() == 5
    assert not done["sound"][hard].any()


def test_a_span_takes_one_modality_for_a_part() -> None:
    settings = ModalityDropout(kind="span", probability=0.8, share=(0.3, 0.6))
    hit = []
    for seed in range(40):
        done = drawn(settings, batch(), seed)
        away = {name: 1 - done[f"{name}_present"].float().mean(1) for name in ("video", "sound")}
        assert not ((away["video"] > 0) & (away["sound"] > 0)).any()
        lost = away["video"] + away["sound"]
        assert ((lost == 0) | ((lost > 0.19) & (lost < 0.71))).all()
        for name in ("video", "sound"):
            gone = ~done[f"{name}_present"]
            # one stretch without a hole, and zeros in it
            assert (gone[:, 1:] != gone[:, :-1]).sum(1).max() <= 2
            values = done[name].mean(dim=(1, 3, 4)) if name == "video" else done[name].mean(dim=1)
            torch.testing.assert_close(values, (~gone).float())
        hit.append((lost > 0).float().mean())
    assert 0.7 < torch.stack(hit).mean() < 0.9


def test_a_span_never_takes_the_last_modality() -> None:
    given = batch()
    given["video_present"][:] = False
    done = drawn(ModalityDropout(kind="span", probability=1.0, share=(1.0, 1.0)), given)
    assert done["sound_present"].all()


def test_models_of_one_modality_are_refused() -> None:
    given = {name: value for name, value in batch().items() if not name.startswith("sound")}
    with pytest.raises(UsageError, match="models of sound and video, this one takes video"):
        drawn(ModalityDropout(kind="softhard"), given)
    with pytest.raises(UsageError, match="takes video alone"):
        drawn(ModalityDropout(kind="span"), given)


@pytest.mark.parametrize("kind", ["softhard", "span"])
def test_a_run_trains_with_it(kind: str, manifest: Path, tmp_path: Path) -> None:
    """Silent videos with sound beside them, one of them without any."""
    table = pd.read_csv(manifest)
    rng = np.random.default_rng(0)
    for number in range(len(table)):
        with wave.open(str(tmp_path / f"{number}.wav"), "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes((3000 * rng.standard_normal(4000)).astype("<i2").tobytes())
    table["audio"] = [str(tmp_path / f"{number}.wav") if number else None for number in range(len(table))]
    table["path"] = [str(manifest.parent / path) for path in table["path"]]
    table["labels"] = None
    table.to_csv(tmp_path / "manifest.csv", index=False)
    values = {
        "name": "fusion",
        "precision": "fp32",
        "hardware": {"accelerator": "cpu"},
        "model": {"name": "avfusion_intermediate_attention_test"},
        "task": {"kind": "classification", "outputs": ["right", "down"]},
        "optimiser": {
            "kind": "sgd",
            "lr": 0.01,
            "momentum": 0.9,
            "dampening": 0.9,
            "weight_decay": 1e-3,
            "decay": "all",
        },
        "schedule": {"epochs": 2, "shape": "drops", "drop_epochs": [2]},
        "modality_dropout": {"kind": kind},
    }
    result = fit(make_recipe(values, tmp_path / "manifest.csv"), tmp_path / "run", progress=False)
    assert (tmp_path / "run").is_dir()
    assert result is not None
