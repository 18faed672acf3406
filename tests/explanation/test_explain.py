"""``explain`` on real files: maps over time in the picture, tables, and streams."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.explanation.test_methods import COLUMN, ROW, TASK, one_place

from mien.checkpoints.bundle import Bundle
from mien.errors import UsageError
from mien.explanation.explain import explain, explain_streams
from mien.explanation.reader import CELLS
from mien.media import VideoReader, VideoWriter, probe
from mien.models.specification import Inputs, Specification, StreamInput, TaskConfig, VideoInput
from mien.tasks import create_model, create_task


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1 s of 64 px: noise with a bright spot where the model looks, and a tone."""
    path, rng = tmp_path_factory.mktemp("film") / "spot.mp4", np.random.default_rng(0)
    with VideoWriter(path, (64, 64), fps=16, sound_rate=16000, quality=8) as out:
        for _ in range(16):
            picture = rng.integers(60, 110, (64, 64, 3))
            picture[16 * ROW : 16 * ROW + 16, 16 * COLUMN : 16 * COLUMN + 16] += 120
            out.write(picture.astype(np.uint8))
        out.write_sound(0.3 * np.sin(np.arange(16000) / 10).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    video = VideoInput(frames=8, stride=1, size=64, mean=(0.0,) * 3, std=(0.1,) * 3, crop=None)
    return Bundle(one_place(), Specification(model="x", inputs=Inputs(video=video), task=TASK), create_task(TASK), None)  # type: ignore[arg-type]


def test_what_is_written_says_where(film: Path, bundle: Bundle, tmp_path: Path) -> None:
    found = explain(film, bundle, "occlusion", output="bright")
    (track,) = found.timeline.faces()
    total = np.nansum(found.maps(track), axis=0)
    down, across = np.unravel_index(total.argmax(), total.shape)
    assert (int((down + 0.5) * 4 / CELLS), int((across + 0.5) * 4 / CELLS)) == (ROW, COLUMN)
    paths = found.write(tmp_path, "spot")
    assert {path.name for path in paths.values()} == {f"spot.occlusion.{end}" for end in ("csv", "json", "png", "mp4")}
    summary = json.loads(paths["summary"].read_text())
    assert summary["explained"] == "bright"
    assert "part cheeks" in summary
    assert "modality video" not in summary, "there is only one"
    assert list(found.table().columns[:2]) == ["answer", "when"]
    assert Image.open(paths["picture"]).size[0] > 1000
    info = probe(paths["video"])
    assert info.sound is not None
    with VideoReader(film) as before, VideoReader(paths["video"]) as after:
        assert len(before) == len(after)
        change = np.abs(before.at_indices([8])[0].astype(int) - after.at_indices([8])[0]).sum(axis=2).astype(float)
    cells = change[:64, :64].reshape(4, 16, 4, 16).mean(axis=(1, 3))[1:3, 1:3]  # caption and box lie around
    assert np.unravel_index(cells.argmax(), cells.shape) == (ROW - 1, COLUMN - 1)


def test_rollout_beside_other_threads(film: Path, bundle: Bundle) -> None:
    found = explain(film, bundle, "rollout")
    (track,) = found.timeline.faces()
    assert np.isfinite(found.maps(track)).all()
    assert found.explained == "what attention lets through, whatever the answer is"


def test_every_moment_says_which_class_is_explained(film: Path, bundle: Bundle) -> None:
    found = explain(film, bundle, "gradients")
    assert bundle.task is not None
    (name,) = set(found.table()["class"])
    assert found.summary()["classes"] == {name: 1.0}
    table = found.table()
    row = found.timeline.frame.iloc[0]
    assert list(table.columns[:3]) == ["answer", "class", "when"]
    assert found.class_of(row) == name
    # windows that disagree: the class of most of them; where nothing was seen there is none
    shares = {f"class {one}": 0.75 if one != name else 0.25 for one in bundle.task.classes or ()}
    assert found.class_of(pd.Series({**row, **shares})) != name
    assert found.class_of(row.mask(row.index.str.startswith("class "), np.nan)) is None
    asked = explain(film, bundle, "gradients", output=name)
    assert "class" not in asked.table()
    assert "classes" not in asked.summary()
    np.testing.assert_allclose(asked.table()["answer"], table["answer"])


def test_streams(film: Path) -> None:
    """A Perceiver that is given the voice's loudness twice; the stream without weights brings nothing."""
    torch.manual_seed(0)
    config = TaskConfig(kind="intensities", outputs=("arousal",))
    task = create_task(config)
    widths = {"tones": 40, "bands": 80}
    model = create_model("viper_test", task, streams=widths)
    streams = tuple(
        StreamInput(name=name, width=width, steps=8, extractor=kind)
        for (name, width), kind in zip(widths.items(), ("mfcc", "logmel"), strict=True)
    )
    specification = Specification(
        model="viper_test", arguments={"streams": widths}, inputs=Inputs(streams=streams), task=config
    )
    found = explain_streams(film, Bundle(model.eval(), specification, task, None))  # type: ignore[arg-type]
    assert set(found["without"]) == set(widths)
    assert all(np.isfinite(value) for value in found["without"].values())
    assert len(found["when"]["rollout"]) == 8
    assert sum(found["when"]["rollout"]) == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_explained(film: Path, bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="takes no feature streams"):
        explain_streams(film, bundle)
    with pytest.raises(UsageError, match="no output 'joy'"):
        explain(film, bundle, output="joy")
