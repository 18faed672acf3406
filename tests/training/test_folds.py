"""Cross-validation: which folds, what is put together how, and the whole way on a small corpus."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.training.corpus import MakeRecipe

from mien.data.protocol import round_names
from mien.errors import UsageError
from mien.evaluation import EvaluationSettings
from mien.evaluation import metrics as m
from mien.evaluation.folds import aggregate
from mien.evaluation.given import judge_file
from mien.training.folds import cross_validate, fold_recipes
from mien.training.recipe import load_recipe

FOLDED = {"by": "subject", "fold": 0, "folds": 3}


def judged(folder: Path, first: int, rights: list[int]) -> Path:
    """An evaluation of a fold: one clip per entry, right where it is 1; its own people."""
    truth = [("a", "b")[number % 2] for number in range(len(rights))]
    said = [name if right else "ba"["ab".index(name)] for name, right in zip(truth, rights, strict=True)]
    ids = [f"{first + number:03d}" for number in range(len(rights))]
    table = pd.DataFrame({"id": ids, "subject": [f"s{id_[:2]}" for id_ in ids], "truth": truth, "prediction": said})
    folder.mkdir(parents=True)
    table.to_csv(folder / "given.csv", index=False)
    judge_file(folder / "given.csv", EvaluationSettings(replicates=50)).write(folder)
    return folder


def test_both_aggregations_by_hand(tmp_path: Path) -> None:
    """Folds of 4 and 16 clips: 100 % and 50 % right; the mean of folds is 75 %, of all clips 60 %."""
    folders = [judged(tmp_path / "one", 0, [1] * 4), judged(tmp_path / "two", 100, [1, 1, 0, 0] * 4)]
    folds = aggregate(folders, tmp_path / "out")
    war = folds.scores["war"]
    assert war.folds == (1.0, 0.5)
    assert war.mean == 0.75
    assert war.deviation == pytest.approx(np.sqrt(2) / 4)
    assert war.concatenated.value == pytest.approx(12 / 20)
    assert war.concatenated.interval.units == 3
    assert folds.clips == (4, 16)
    saved = json.loads((tmp_path / "out" / "crossvalidation.json").read_text())
    assert saved["scores"]["war"]["mean"] == 0.75
    page = (tmp_path / "out" / "report.html").read_text()
    assert "concatenated" in page
    assert "mean of folds" in page
    texts = [page, *(path.read_text() for path in (tmp_path / "out" / "tables").iterdir())]
    assert len(texts) == 10
    assert sum("corpus seen in training" in text for text in texts) == 4
    told = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
    each = [one["data"]["protocol"] for one in told]
    assert list(saved["protocols"].values()) == each
    assert list(saved["weights"].values()) == [one["weights"]["sha256"] for one in told]
    assert saved["protocol"] == folds.digest
    assert aggregate(folders[::-1], tmp_path / "turned").digest == folds.digest
    assert aggregate(folders[:1], tmp_path / "first").digest != folds.digest
    assert folds.digest in page
    assert all(digest[:12] in page for digest in each)
    assert all(text in page for one in told for text in one["notes"])
    with pytest.raises(UsageError, match="'000' is tested in two folds"):
        aggregate([folders[0], folders[0]], tmp_path / "twice")


def test_every_fold_tests_once_and_the_next_validates(task_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipes = fold_recipes(task_recipe(data={"protocol": FOLDED}))
    assert list(recipes) == ["0", "1", "2"]
    assert [str(one.data.protocol.fold) for one in recipes.values()] == ["0", "1", "2"]
    assert list(fold_recipes(task_recipe(data={"protocol": FOLDED}), ["2"])) == ["2"]
    with pytest.raises(UsageError, match="fold '7' is not one of 0, 1, 2"):
        fold_recipes(task_recipe(data={"protocol": FOLDED}), ["7"])
    with pytest.raises(UsageError, match="by='split' has no folds"):
        fold_recipes(task_recipe())
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not empty; add --resume"):
        cross_validate(task_recipe(data={"protocol": FOLDED}), tmp_path)


def test_everybody_and_every_corpus_tests_in_turn(tmp_path: Path) -> None:
    """Leaving one person out is what small corpora are judged by; names may hold what files' names may not."""
    rows = {"path": [f"{at}.mp4" for at in range(4)], "subject": ["b:2/x", "a", "10", "b:2?x"], "corpus": list("qqrr")}
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    words = [f"data.manifest={tmp_path / 'm.csv'}", "data.protocol={by: leave_one_out, validation: 0.3}"]
    recipes = fold_recipes(load_recipe("videomae/finetune_synthetic", words, each=True))
    assert [one.data.protocol.fold for one in recipes.values()] == list(recipes) == ["10", "a", "b:2/x", "b:2?x"]
    assert list(round_names(recipes).values()) == ["10", "a", "b_2_x", "b_2_x_"]
    recipe = load_recipe("videomae/finetune_synthetic", [words[0], "data.protocol.by=corpus"], each=True)
    assert list(fold_recipes(recipe)) == ["q", "r"]
    with pytest.raises(UsageError, match="needs fold"):
        load_recipe("videomae/finetune_synthetic", words)


@pytest.mark.slow
def test_folds_in_parallel_are_resumed_and_put_together(
    task_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "av.py").write_text("raise SystemExit('a file of the user, not PyAV')")
    monkeypatch.chdir(tmp_path)
    recipe = task_recipe(data={"protocol": FOLDED | {"folds": 2}}, schedule={"epochs": 1})
    folds = cross_validate(recipe, tmp_path / "cv", jobs=2)
    assert folds.clips == (12, 12)
    tables = [pd.read_csv(tmp_path / "cv" / f"fold-{name}" / "evaluation/test/predictions.csv") for name in (0, 1)]
    both = pd.concat(tables)
    assert len(set(both["id"])) == 24
    expected = m.war(both["truth"] == "down", both["prediction"] == "down")
    assert folds.scores["war"].concatenated.value == pytest.approx(expected)
    weights = tmp_path / "cv" / "fold-0" / "bundle" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = cross_validate(recipe, tmp_path / "cv", jobs=1, resume=True, quiet=True)
    assert weights.stat().st_mtime_ns == before
    assert again.scores["war"].mean == folds.scores["war"].mean
