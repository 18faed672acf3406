"""A corpus whose truth can be seen (brightness of the picture), and an encoder that sees nothing else. Fixtures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from mien.checkpoints.bundle import save
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.media import VideoWriter
from mien.models import Encoder, Features, ModelInputs, Recogniser, create_encoder, register_model, registry
from mien.models.specification import Exposure, Inputs, Provenance, Specification, TaskConfig, VideoInput
from mien.tasks import create_task

SIZE = 32
INPUTS = Inputs(video=VideoInput(frames=8, stride=1, size=SIZE, mean=(0.0,) * 3, std=(1.0,) * 3, crop=None))
CLASSES = TaskConfig(kind="classification", outputs=("dark", "bright"))
VALUES = TaskConfig(kind="dimensions", level="frame", outputs=("valence", "arousal"))


class Brightness(Encoder):
    """One feature: mean brightness 0..1 of every frame; learns nothing."""

    feature_dim, depth = 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward_features(self, inputs: ModelInputs) -> Features:
        frames = self.gain * inputs["video"].mean(dim=(1, 3, 4))[..., None]
        return Features(frames.mean(dim=1), frames=frames)

    def layer_of(self, name: str) -> int:
        return 0


def brightness_test() -> Encoder:
    """Test encoder."""
    return Brightness()


@pytest.fixture(scope="session", autouse=True)
def register() -> None:
    if "brightness_test" not in registry._builders:
        register_model(INPUTS)(brightness_test)


def write_clip(path: Path, levels: np.ndarray) -> None:
    """Grey frames of the given brightness 0..255, 25 per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, (SIZE, SIZE), 25.0, gop=4) as out:
        for level in levels:
            out.write(np.full((SIZE, SIZE, 3), round(float(level)), dtype=np.uint8))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """12 clips of 20 frames of 6 subjects, two of them for each part; brightness drifts within a clip.

    Clip 10 (of the test part) is dark but labelled bright, so accuracy is 3 of 4. Label files give valence as
    brightness 0..1 of every frame and arousal as 1 - brightness.
    """
    root = tmp_path_factory.mktemp("brightness")
    rows = []
    for number in range(12):
        bright = number % 2 == 1
        levels = (150 if bright else 40) + 3.0 * np.arange(20)
        write_clip(root / f"clips/{number:02}.mp4", levels)
        labels = root / f"labels/{number:02}.csv"
        labels.parent.mkdir(exist_ok=True)
        truth = {"time": np.arange(20) / 25, "valence": levels / 255, "arousal": 1 - levels / 255}
        pd.DataFrame(truth).to_csv(labels, index=False)
        rows.append(
            {
                "id": f"clip{number:02}",
                "path": f"clips/{number:02}.mp4",
                "subject": f"s{number // 2}",
                "split": ("train", "val", "test")[number // 4],
                "label": "bright" if bright or number == 10 else "dark",
                "labels": f"labels/{number:02}.csv",
            }
        )
    Manifest(pd.DataFrame(rows), root).write(root / "manifest.csv")
    return Manifest.read(root / "manifest.csv")


def bundle(
    folder: Path,
    task: TaskConfig | None,
    weight: Sequence[float] = (),
    bias: Sequence[float] = (),
    **provenance: object,
) -> Path:
    """A bundle whose head is ``weight * brightness + bias``."""
    encoder = create_encoder("brightness_test")
    specification = Specification(
        model="brightness_test", inputs=INPUTS, task=task, provenance=Provenance.model_validate(provenance)
    )
    model: Recogniser | Encoder = encoder
    if task is not None:
        model = create_task(task).make_model(encoder)
        model.head.linear.weight.data = torch.tensor(weight)[:, None]
        model.head.linear.bias.data = torch.tensor(bias)
    return save(model, specification, folder)


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Path]:
    """``bundle`` for tests."""
    return bundle


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says ``bright`` above the brightness 0.45."""
    return bundle(tmp_path_factory.mktemp("bundles") / "classifier", CLASSES, [-10.0, 10.0], [4.5, -4.5])


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads valence without a fault, and arousal always as 0.5."""
    return bundle(tmp_path_factory.mktemp("bundles") / "reader", VALUES, [1.0, 0.0], [0.0, 0.5])


@pytest.fixture
def run(tmp_path: Path, corpus: Manifest) -> Callable[..., Path]:
    """Makes the folder of a finished run on a manifest."""

    def make(protocol: Protocol | None = None, manifest: Path | None = None) -> Path:
        folder = tmp_path / "run"
        divided = protocol or Protocol.from_manifest(corpus)
        seen = Exposure(corpus=corpus.root.name, stage="fine-tuning", protocol=divided.digest, clips=len(divided.train))
        bundle(folder / "bundle", CLASSES, [-10.0, 10.0], [4.5, -4.5], ledger=[seen.model_dump()])
        divided.write(folder / "protocol.json")
        path = str(manifest or corpus.root / "manifest.csv")
        (folder / "recipe.yaml").write_text(yaml.safe_dump({"name": "brightness", "data": {"manifest": path}}))
        (folder / "metrics.json").write_text('{"weights": "best by uar on validation"}')
        return folder

    return make
