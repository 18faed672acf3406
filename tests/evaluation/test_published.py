"""The figures that authors of published runs logged, recomputed from their per-clip predictions."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.evaluation import metrics as m
from mien.evaluation.intervals import compare, mcnemar, number_units
from mien.evaluation.tallies import count_pairs
from mien.models.specification import TaskConfig
from mien.tasks import create_task

DATA = Path(__file__).parent / "data"
RUNS = json.loads((DATA / "published_predictions.json").read_text())["runs"]
ARRAYS = np.load(DATA / "published_predictions.npz")


@pytest.mark.parametrize("name", RUNS)
def test_figures_equal_those_logged(name: str) -> None:
    run, truth, predicted = RUNS[name], ARRAYS[f"{name}.y_true"], ARRAYS[f"{name}.y_pred"]
    exact, logged = run["exact"], run["logged"]
    assert len(truth) == run["n"]
    assert m.confusion_matrix(truth, predicted, 7).tolist() == exact["confusion"] == logged["confusion"]
    assert m.uar(truth, predicted) == pytest.approx(exact["uar"], abs=1e-14)
    assert m.war(truth, predicted) == pytest.approx(exact["war"], abs=1e-14)
    np.testing.assert_allclose(m.per_class_recall(truth, predicted), exact["class_acc"], atol=1e-14)
    f1 = [m.f1(truth, predicted, "weighted"), m.war(truth, predicted), m.f1(truth, predicted)]
    np.testing.assert_allclose(f1, [exact["weighted_f1"], exact["micro_f1"], exact["macro_f1"]], atol=1e-14)
    assert [[round(100 * m.uar(truth, predicted), 2), round(100 * m.war(truth, predicted), 2)]] == logged["uar_war"]
    assert [[round(value, 4) for value in f1]] == logged["f1"]
    percent = [f"{100 * value:.2f}%" for value in m.per_class_recall(truth, predicted)]
    assert percent == ast.literal_eval(logged["class_acc"])


def test_the_task_merges_views_as_published() -> None:
    """DFEW fold 1: four views of float16 logits per clip, softmax, mean, highest."""
    name = "dfew_split01_mae_dfer"
    truth, logits = ARRAYS[f"{name}.y_true"].astype(np.int64), ARRAYS[f"{name}.logits"]
    task = create_task(TaskConfig(kind="classification", outputs=tuple(RUNS[name]["classes"])))
    views = task.read(torch.from_numpy(logits)).double().numpy()
    merged = np.stack([task.merge(clip) for clip in views])
    np.testing.assert_array_equal(merged.argmax(axis=1), ARRAYS[f"{name}.y_pred"])
    assert m.metric("uar")(truth, merged) == pytest.approx(RUNS[name]["exact"]["uar"], abs=1e-14)
    assert m.metric("war")(truth, views[:, 0]) == pytest.approx(0.7364374199060231, abs=1e-14)
    assert m.metric("uar")(truth, views[:, 0]) == pytest.approx(0.5995486762232094, abs=1e-14)


@pytest.mark.parametrize(
    ("other", "p_value"), [("ferv39k_add_pos", 0.38), ("ferv39k_normal_folder", 0.60), ("ferv39k_add_4x5x10", 0.007)]
)
def test_mcnemar_between_published_runs(other: str, p_value: float) -> None:
    truth = ARRAYS["ferv39k_add.y_true"]
    right = [ARRAYS[f"{name}.y_pred"] == truth for name in ("ferv39k_add", other)]
    assert mcnemar(*right).p_value == pytest.approx(p_value, abs=0.005 if p_value > 0.01 else 0.0005)


@pytest.mark.parametrize(("name", "low", "high"), [("uar", -0.5, 1.0), ("war", -0.5, 0.9)])
def test_bootstrap_difference_between_published_runs(name: str, low: float, high: float) -> None:
    """The published gain is not supported: the interval of the difference holds 0 (points, two decimals known)."""
    truth = ARRAYS["ferv39k_add.y_true"].astype(np.int64)
    groups, count = number_units(None, len(truth))
    sums = [
        count_pairs(truth, ARRAYS[f"{run}.y_pred"].astype(np.int64), 7, groups, count)
        for run in ("ferv39k_add", "ferv39k_normal_folder")
    ]
    result = compare(sums[0], sums[1], m.METRICS[name].value, replicates=1000)
    assert 100 * result.interval.low == pytest.approx(low, abs=0.12)
    assert 100 * result.interval.high == pytest.approx(high, abs=0.12)
    assert result.p_value > 0.3
