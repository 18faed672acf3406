"""Long recordings: judged and read in full, with memory that does not grow with them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.evaluation.brightness import VALUES, write_clip

from mien.data.manifest import Manifest
from mien.evaluation.assess import EvaluationSettings, evaluate
from mien.inference import predict

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


@pytest.mark.slow
def test_memory_does_not_grow_with_a_recording(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    """Frames of the longer one are 7 MiB more (28 as floats); what grows is a row of numbers for each."""
    bundle = make_bundle(tmp_path / "bundle", VALUES, (1.0, -1.0), (0.0, 1.0))
    peaks: dict[str, list[float]] = {"evaluate": [], "predict": []}
    for frames in (600, 3000):
        manifest = recording(tmp_path / str(frames), frames)
        tracemalloc.start()
        result = evaluate(bundle, manifest, settings=EvaluationSettings(batch=1, replicates=10))
        peaks["evaluate"].append(tracemalloc.get_traced_memory()[1] / MIB)
        tracemalloc.reset_peak()
        timeline = predict(tmp_path / str(frames) / "long.mp4", bundle)
        peaks["predict"].append(tracemalloc.get_traced_memory()[1] / MIB)
        tracemalloc.stop()
        assert result["ccc"].n == len(timeline) == frames
        assert result["ccc"].value > 0.99
    assert all(long - short < 4 for short, long in peaks.values()), peaks
