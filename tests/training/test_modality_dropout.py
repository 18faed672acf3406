"""Modality dropout: marks, spans, and that nothing is left without anything. Published numbers: tests/parity."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.corpus import make_recipe
from torch import Tensor

from mien.errors import UsageError
from mien.training import fit
from mien.training.experiment import inputs_of
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


CLASSES = {"kind": "classification", "outputs": ["right", "down"]}
OVER_TIME = {"kind": "dimensions", "level": "frame", "outputs": ["across", "along"]}


@pytest.mark.parametrize(
    ("kind", "task"), [("softhard", CLASSES), ("span", CLASSES), ("softhard", OVER_TIME)], ids=["soft", "span", "time"]
)
def test_a_run_trains_with_it(kind: str, task: dict[str, Any], manifest: Path, tmp_path: Path) -> None:
    """Silent videos with sound beside them, one of them without any."""
    table = pd.read_csv(manifest)
    rng = np.random.default_rng(0)
    for number in range(len(table)):
        with wave.open(str(tmp_path / f"{number}.wav"), "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes((3000 * rng.standard_normal(4000)).astype("<i2").tobytes())
    table["audio"] = [str(tmp_path / f"{number}.wav") if number else None for number in range(len(table))]
    table["path"] = [str(manifest.parent / path) for path in table["path"]]
    table["labels"] = [str(manifest.parent / path) for path in table["labels"]]
    table.to_csv(tmp_path / "manifest.csv", index=False)
    values = {
        "name": "fusion",
        "precision": "fp32",
        "hardware": {"accelerator": "cpu"},
        "model": {"name": "avfusion_intermediate_attention_test"},
        "task": task,
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
    done = fit(make_recipe(values, tmp_path / "manifest.csv"), tmp_path / "run", progress=False)
    losses = pd.read_csv(tmp_path / "run" / "logs" / "train.csv")["loss"]
    assert np.isfinite(losses).all()
    assert (tmp_path / "run" / "bundle" / "model.safetensors").is_file()
    assert done.steps == 8


def test_per_frame_answers_need_sound_and_pictures_of_one_stretch(manifest: Path) -> None:
    values = {"name": "fusion", "model": {"name": "avfusion_late_transformer_test"}, "task": OVER_TIME}
    values |= {"optimiser": {"lr": 0.01}, "schedule": {"epochs": 1}}
    assert inputs_of(make_recipe(values, manifest)).video is not None
    for sampling, told in (({"stride": 2}, "8 frames, no fps"), ({"fps": 8.0}, "8 frames, 8 per second")):
        with pytest.raises(UsageError, match=f"hears 2 s and sees {told}; set data.sampling"):
            inputs_of(make_recipe(values, manifest, data={"sampling": sampling}))
