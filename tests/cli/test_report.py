"""``mien report`` on a file of predictions, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

CLASSES = ("calm", "cheer", "fear")


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 60)
    scores = rng.dirichlet(np.ones(3), 60)
    scores[np.arange(60), truth] += 0.4
    scores /= scores.sum(axis=1, keepdims=True)
    table = pd.DataFrame(scores, columns=list(CLASSES))
    table.insert(0, "id", [f"c{number}" for number in range(60)])
    table.insert(1, "truth", [CLASSES[number] for number in truth])
    table["subject"] = [f"s{number % 12}" for number in range(60)]
    table.to_csv(tmp_path / "answers.csv", index=False)
    return tmp_path / "answers.csv"


def test_a_folder_gets_the_page_and_its_tables(
    predictions: Path, tmp_path: Path, here: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = here("report", predictions, "--out", tmp_path / "side", "--json")
    assert code == 0, err
    assert json.loads(out)["report"] == str(tmp_path / "side" / "report.html")
    page = (tmp_path / "side" / "report.html").read_text()
    table = pd.read_csv(predictions)
    answers = table[list(CLASSES)].idxmax(axis=1)
    assert f"{balanced_accuracy_score(table['truth'], answers):.3f}" in page
    assert 'src="http' not in page
    assert list((tmp_path / "side" / "tables").glob("*.tex"))
