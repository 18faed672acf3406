"""Pictures of a masked pretraining and the page of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.training.corpus import MakeRecipe

from mien.training import fit

MAEDFER = {"name": "maedfer_test", "arguments": {"frames": 8, "size": 64}}
MOTION = {"kind": "masked_autoencoder", "options": {"mask_ratio": 0.5, "target": "motion"}}


@pytest.fixture(scope="module")
def run(pretext_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "run"
    fit(pretext_recipe(model=MAEDFER, pretext=MOTION, intervals={"gallery_epochs": 1}), folder, progress=False)
    return folder


def test_pictures_lie_in_the_run_and_in_tensorboard(run: Path) -> None:
    """Two epochs of six steps; of 4 clips five rows each (original, masked, reconstructed, motion twice), 4 frames."""
    assert [path.name for path in sorted((run / "gallery").iterdir())] == ["00000006.png", "00000012.png"]
    first, last = (Image.open(path) for path in sorted((run / "gallery").iterdir()))
    assert first.size == last.size == (4 * 68, 4 * 5 * 68 + 3 * 8)
    before, after = np.asarray(first), np.asarray(last)
    unchanged = [np.array_equal(before[row * 68 : row * 68 + 64], after[row * 68 : row * 68 + 64]) for row in range(5)]
    assert unchanged == [True, True, False, True, False], "the same clips and masks; only what is predicted changes"
    events = EventAccumulator(str(run / "logs")).Reload()
    assert [event.step for event in events.Images("reconstruction")] == [6, 12]


def test_the_page_of_a_run_stands_alone(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "Pictures after step 6" in page
    assert "Pictures after step 12" in page
    assert page.count('src="data:image/png;base64,') == 2 + 3
    assert "http" not in page
    assert "maedfer_test" in page


def test_pictures_change_nothing_that_is_trained(run: Path, pretext_recipe: MakeRecipe, tmp_path: Path) -> None:
    fit(pretext_recipe(model=MAEDFER, pretext=MOTION), tmp_path / "run", progress=False)
    one, two = (load_file(folder / "bundle" / "model.safetensors") for folder in (run, tmp_path / "run"))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_targets_without_pictures_train_all_the_same(pretext_recipe: MakeRecipe, tmp_path: Path) -> None:
    pretext = {"kind": "masked_autoencoder", "options": {"mask_ratio": 0.5, "target": "motion", "group": 4}}
    recipe = pretext_recipe(model=MAEDFER, pretext=pretext, schedule={"steps": 1}, intervals={"gallery_epochs": 1})
    fit(recipe, tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "report.html").exists()
    assert not list((tmp_path / "run").glob("gallery/*"))
