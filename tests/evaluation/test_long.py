"""Long recordings: judged and read in full, with memory that does not grow with them."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.evaluation.brightness import INPUTS, VALUES, write_clip
from torch import Tensor, nn

from mien.data.dataset import Failure, Item
from mien.data.manifest import Manifest
from mien.data.sampling import PART
from mien.evaluation.assess import EvaluationSettings, evaluate, evaluation_loader
from mien.evaluation.predictions import Predictions, predict_views
from mien.inference import predict
from mien.models.specification import TaskConfig
from mien.tasks import create_task

MIB = 2**20


def recording(folder: Path, frames: int) -> Manifest:
    """One recording whose brightness goes up and down, with its values at every frame."""
    levels = 128 + 100 * np.sin(np.arange(frames) / 40)
    write_clip(folder / "long.mp4", levels)
    truth = {"time": np.arange(frames) / 25, "valence": levels / 255, "arousal": 1 - levels / 255}
    pd.DataFrame(truth).to_csv(folder / "long.csv", index=False)
    rows = pd.DataFrame([{"path": "long.mp4", "subject": "a", "split": "test", "labels": "long.csv"}])
    Manifest(rows, folder).write(folder / "manifest.csv")
    return Manifest.read(folder / "manifest.csv")


class Constant(nn.Module):
    """Says the same of every frame, of 42 numbers each."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.linspace(-1.0, 1.0, 42))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.scores.expand(*inputs["video_present"].shape, 42)


def test_a_long_recording_is_judged_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One part in memory at a time, whatever the batch; of 42 numbers for a frame those stay that figures need."""
    frames = 2 * PART + 10
    manifest = recording(tmp_path, frames)
    task = create_task(TaskConfig(kind="binned", level="frame", outputs=("arousal", "valence")))
    loader = evaluation_loader(manifest, manifest.ids, INPUTS, task, EvaluationSettings(batch=8))
    seen: list[weakref.ref[Tensor]] = []
    read = loader.dataset.item

    def item(epoch: int, position: int) -> Item | Failure:
        assert not any(one() is not None for one in seen), "the part before is still in memory"
        return read(epoch, position)

    def watched() -> Iterator[dict[str, Any]]:
        for batch in loader:
            assert batch["video"].shape[0] * batch["video"].shape[2] <= 2 * PART + 2 * batch["video"].shape[2]
            seen.append(weakref.ref(batch["video"]))
            yield batch
            del batch

    monkeypatch.setattr(loader.dataset, "item", item)
    predictions = predict_views(Constant(), task, watched())
    (clip,) = predictions.clips
    assert len(seen) == 3
    assert len(clip.output) == frames
    assert sum(kept.nbytes for kept in (clip.output, clip.truth, clip.times)) <= 64 * frames
    # the last of 20 bins gets the highest score, for arousal as for valence
    np.testing.assert_array_equal(clip.output[0, 2:], [19, 19])
    assert Predictions.join([predictions]).clips == predictions.clips


@pytest.mark.slow
def test_memory_does_not_grow_with_a_recording(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    """Frames of the longer one are 7 MiB more (28 as floats); what grows is a row of numbers for each."""
    bundle = make_bundle(tmp_path / "bundle", VALUES, (1.0, -1.0), (0.0, 1.0))
    peaks: dict[str, list[float]] = {"evaluate": [], "predict": []}
    for frames in (600, 3000):
        manifest = recording(tmp_path / str(frames), frames)
        tracemalloc.start()
        result = evaluate(bundle, manifest, settings=EvaluationSettings(replicates=10))
        peaks["evaluate"].append(tracemalloc.get_traced_memory()[1] / MIB)
        tracemalloc.reset_peak()
        timeline = predict(tmp_path / str(frames) / "long.mp4", bundle)
        peaks["predict"].append(tracemalloc.get_traced_memory()[1] / MIB)
        tracemalloc.stop()
        assert result["ccc"].n == len(timeline) == frames
        assert result["ccc"].value > 0.99
    assert all(long - short < 4 for short, long in peaks.values()), peaks
