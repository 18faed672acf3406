"""What streams bring, on a model that goes by one of two alone and on one that needs both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mien.checkpoints.bundle import save
from mien.data.streams import Stream, write_store
from mien.evaluation import evaluate
from mien.models import Encoder, Features, ModelInputs, create_encoder, register_model, registry
from mien.models.specification import Inputs, Specification, StreamInput, TaskConfig
from mien.tasks import create_task

STREAMS = tuple(StreamInput(name=name, width=1, steps=4) for name in ("left", "right"))
TASK = TaskConfig(kind="intensities", outputs=("valence",))


class Sums(Encoder):
    """Two features: the mean of each stream, 0 where it is absent."""

    modalities = ("left", "right")
    feature_dim, depth = 2, 1

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward_features(self, inputs: ModelInputs) -> Features:
        means = [inputs[name].mean(dim=(1, 2)) * self.gain for name in self.modalities]
        return Features(torch.stack(means, dim=1))

    def layer_of(self, name: str) -> int:
        return 0


def sums_test() -> Encoder:
    """Test encoder."""
    return Sums()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 test clips of 20 people: valence is the sum of what two streams say."""
    if "sums_test" not in registry._builders:
        register_model(Inputs(streams=STREAMS))(sums_test)
    folder, rng = tmp_path_factory.mktemp("streams"), np.random.default_rng(0)
    said = rng.normal(size=(40, 2))
    content = {
        (stream.name, f"c{clip:02}"): Stream(np.full((4, 1), said[clip, at], np.float32), np.arange(4.0))
        for clip in range(40)
        for at, stream in enumerate(STREAMS)
    }
    write_store(folder / "streams.safetensors", {one.name: one for one in STREAMS}, content, {})
    table = {"id": [f"c{clip:02}" for clip in range(40)], "path": [f"{clip}.mp4" for clip in range(40)]}
    table |= {"subject": [f"s{clip // 2}" for clip in range(40)], "split": ["test"] * 40, "valence": said.sum(axis=1)}
    pd.DataFrame(table).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def notes(corpus: Path, folder: Path, weights: tuple[float, float]) -> list[str]:
    task = create_task(TASK)
    model = task.make_model(create_encoder("sums_test"))
    with torch.no_grad():
        model.head.linear.weight.copy_(torch.tensor([weights]))
        model.head.linear.bias.zero_()
    specification = Specification(model="sums_test", inputs=Inputs(streams=STREAMS), task=TASK)
    return list(evaluate(save(model, specification, folder), corpus).notes)


def test_both_streams_count(corpus: Path, tmp_path: Path) -> None:
    first, second = notes(corpus, tmp_path / "both", (1.0, 1.0))[-2:]
    assert "with all streams 1.000; taken out one at a time: without left 0." in first
    assert "all 2 together gain +0." in second
    assert "the interval holds 0" not in second


def test_one_stream_is_all_there_is(corpus: Path, tmp_path: Path) -> None:
    first, second = notes(corpus, tmp_path / "one", (1.0, 0.0))[-2:]
    assert "without right" in first
    assert "(loss +0.000 [+0.000, +0.000])" in first
    assert "gain +0.000 [+0.000, +0.000] over the best one alone, left" in second
    assert "so these 20 subjects do not show that the other streams add to it" in second
