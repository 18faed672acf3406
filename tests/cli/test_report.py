"""``mien report`` on a file of predictions, as typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from mien.cli import main

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
    predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mien", "report", str(predictions), "--out", str(tmp_path / "side"), "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr()
    assert stop.value.code in (0, None), said.err
    assert json.loads(said.out)["report"] == str(tmp_path / "side" / "report.html")
    page = (tmp_path / "side" / "report.html").read_text()
    table = pd.read_csv(predictions)
    answers = table[list(CLASSES)].idxmax(axis=1)
    assert f"{balanced_accuracy_score(table['truth'], answers):.3f}" in page
    assert 'src="http' not in page
    assert list((tmp_path / "side" / "tables").glob("*.tex"))
