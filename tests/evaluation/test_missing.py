"""Modalities missing on purpose: conditions by ids, the grid, the curves, and files that say it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.data.conftest import record
from torch import Tensor, nn

from mien.checkpoints.bundle import save
from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation import evaluate
from mien.evaluation.assess import EvaluationSettings
from mien.evaluation.missing import SHARES, Condition, conditions, evaluate_missing, with_missing
from mien.models import create_encoder
from mien.models.registry import default_inputs
from mien.models.specification import Specification, TaskConfig
from mien.tasks import create_model, create_task

SETTINGS = EvaluationSettings(views=1, device="cpu", batch=3, replicates=50)


def batch(clips: int = 40) -> dict[str, object]:
    return {
        "ids": [f"clip{n}" for n in range(clips)],
        "clip": torch.arange(clips),
        "failures": [],
        "video": torch.ones(clips, 3, 8, 2, 2),
        "video_present": torch.ones(clips, 8, dtype=torch.bool),
        "sound": torch.ones(clips, 4, 32),
        "sound_present": torch.ones(clips, 32, dtype=torch.bool),
        "target": torch.zeros(clips, dtype=torch.long),
    }


def gone(changed: dict[str, object], name: str) -> Tensor:
    present = changed[f"{name}_present"]
    assert isinstance(present, Tensor)
    return ~present


def test_more_missing_is_missing_more_of_the_same() -> None:
    before = torch.zeros(40, dtype=torch.bool)
    for share in SHARES:
        now = gone(Condition("clips", "sound", share=share)(batch(), 0), "sound")
        assert (now.all(1) == now.any(1)).all()
        assert (before <= now.all(1)).all()
        assert abs(now.all(1).float().mean() - share) < 0.25
        before = now.all(1)
    assert before.all()


def test_a_share_of_time_is_one_span_of_that_length() -> None:
    for share in (0.25, 0.5, 1.0):
        now = gone(Condition("time", "sound", share=share)(batch(), 0), "sound")
        np.testing.assert_allclose(now.float().mean(1), share, atol=1.01 / 32)
        assert (now[:, 1:] != now[:, :-1]).sum(1).max() <= 2


def test_what_is_drawn_depends_on_clips_and_not_on_batches() -> None:
    condition, whole = Condition("time", "video", share=0.5), batch(6)
    half = {name: value[3:] for name, value in whole.items()}
    half |= {"clip": torch.arange(3), "failures": []}
    assert torch.equal(gone(condition(whole, 1), "video")[3:], gone(condition(half, 1), "video"))
    assert not torch.equal(gone(condition(whole, 1), "video"), gone(condition(whole, 2), "video"))


def test_the_grid_marks_only_what_is_said_to_be_absent() -> None:
    for distortion, told in (("absent", True), ("zeros", False), ("noise", False), ("addnoise", False)):
        changed = Condition("grid", "sound", distortion)(batch(), 0)
        assert bool(gone(changed, "video").all()) is told
        assert not gone(changed, "sound").any()
        assert bool((changed["video"] == 0).all()) is (distortion in ("absent", "zeros"))
    assert len(conditions(["video", "sound"])) == 1 + 8 + 20


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle that listens (loud is ``high``) and looks (bright is ``high``), and clips of which it is right."""
    root = tmp_path_factory.mktemp("missing")
    rows = []
    for number in range(6):
        high = number % 2
        record(root / f"{number}.mp4", 50, 200 if high else 20, sound=number != 5)
        rows.append({"path": f"{number}.mp4", "subject": f"s{number // 2}", "label": ["low", "high"][high]})
    Manifest(pd.DataFrame(rows), root).write(root / "manifest.csv")
    torch.manual_seed(0)
    task = TaskConfig(kind="classification", outputs=("low", "high"))
    name = "avfusion_late_transformer_test"
    model = create_model(name, create_task(task))
    save(model.eval(), Specification(model=name, inputs=default_inputs(name), task=task), root / "bundle")
    return root / "bundle", root / "manifest.csv"


def test_the_grid_and_curves_of_a_bundle(judged: tuple[Path, Path], tmp_path: Path) -> None:
    result = evaluate(judged[0], judged[1], "all", SETTINGS)
    found = evaluate_missing(result, SETTINGS)
    assert found.value("uar", "grid", "both") == pytest.approx(result["uar"].value)
    for lost, kept in (("sound", "video"), ("video", "sound")):
        for kind in ("clips", "time"):
            assert found.value("uar", kind, lost, share=0.0) == found.value("uar", "grid", "both")
            assert found.value("uar", kind, lost, share=1.0) == found.value("uar", "grid", kept, "absent")
    assert set(found.table["n"]) == {6}
    paths = with_missing(result, found).write(tmp_path / "out")
    assert paths["missing_grid"].read_bytes()[:4] == paths["missing_curves"].read_bytes()[:4] == b"\x89PNG"
    page = paths["report"].read_text()
    assert "With modalities missing" in page
    assert re.search(r">kept</th><th scope=\"col\">in place of the others</th><th scope=\"col\">UAR</th>", page)
    assert re.search(r">sound</th><td>noise added</td><td>\d\.\d{3} ", page)
    again = pd.read_csv(paths["missing"], keep_default_na=False, na_values=["nan"])
    np.testing.assert_allclose(again["value"], found.table["value"], atol=1e-6)
    summary = json.loads(paths["metrics"].read_text())
    assert len(summary["missing"]) == len(found.table) == 2 * 29
    assert json.loads(paths["missing_json"].read_text())["unit"] == "subject"


def test_a_model_of_one_modality_has_nothing_to_miss(judged: tuple[Path, Path], tmp_path: Path) -> None:
    task = TaskConfig(kind="classification", outputs=("low", "high"))
    name = "avfusion_video_cnn_test"
    model = create_model(name, create_task(task))
    assert isinstance(model, nn.Module)
    assert create_encoder(name).modalities == ("video",)
    save(model.eval(), Specification(model=name, inputs=default_inputs(name), task=task), tmp_path / "bundle")
    result = evaluate(tmp_path / "bundle", judged[1], "all", SETTINGS)
    with pytest.raises(UsageError, match="takes video alone; --missing needs a model of two modalities"):
        evaluate_missing(result, SETTINGS)
