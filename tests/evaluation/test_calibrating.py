"""Temperature scaling against a temperature that is known, and what ``mien calibrate`` leaves behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import log_loss

from mien.checkpoints.bundle import load
from mien.checkpoints.files import read_weights
from mien.cli.app import run as run_command
from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation import calibrating, evaluate
from mien.evaluation.calibrating import calibrate, fit_temperature, probabilities
from mien.evaluation.given import judge_file
from mien.models.familiarity import distance
from mien.models.specification import TaskConfig


def draw(temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """4,000 clips of two equal views whose truth is drawn from ``softmax(outputs / temperature)``."""
    rng = np.random.default_rng(seed)
    outputs = 3 * rng.normal(size=(4000, 4))
    truth = np.array([rng.choice(4, p=row) for row in softmax(outputs / temperature, axis=1)])
    return np.repeat(outputs, 2, axis=0), np.repeat(np.arange(4000), 2), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    assert fit_temperature(*draw(temperature)) == pytest.approx(temperature, rel=0.06)


def test_unlabelled_clips_do_not_count() -> None:
    outputs, clip, truth = draw(2.0)
    half = np.where(np.arange(4000) % 2, truth, -100)
    kept = np.arange(8000) // 2 % 2 == 1
    alone = fit_temperature(outputs[kept], np.repeat(np.arange(2000), 2), truth[1::2])
    assert fit_temperature(outputs, clip, half) == pytest.approx(alone, rel=1e-3)


def test_views_are_merged_as_probabilities() -> None:
    outputs = np.array([[2.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
    expected = [softmax(outputs[:2] / 2, axis=1).mean(axis=0), [0.5, 0.5]]
    np.testing.assert_allclose(probabilities(outputs, np.array([0, 0, 1]), 2.0), expected)


def test_distance_is_the_root_mean_square_of_standardised_features() -> None:
    features = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    found = distance(features, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(found, torch.tensor([(0.5) ** 0.5, ((4 + 1) / 2) ** 0.5]))


def test_a_run_is_calibrated_in_place(
    run: Callable[..., Path], corpus: Manifest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibrating, "FEWEST", 4)
    folder = run()
    weights = read_weights(folder / "bundle")
    raw = evaluate(folder, corpus).predictions.output
    monkeypatch.setattr(
        sys, "argv", ["mien", "calibrate", str(folder), "--coverage", "0.5", "--workers", "0", "--json"]
    )
    assert run_command() == 0
    told = json.loads(capsys.readouterr().out)
    bundle = load(folder)
    assert told["clips"] == bundle.specification.calibration.clips == 4
    assert told["after"]["nll"] <= told["before"]["nll"] + 1e-9
    assert told["answered"] == 0.5
    assert bundle.task.config.options["temperature"] == pytest.approx(told["temperature"], rel=1e-5)
    after = read_weights(folder / "bundle")
    assert all(torch.equal(after[name], weights[name]) for name in weights)
    assert "It abstains below a confidence of" in (folder / "bundle/README.md").read_text()
    # two views of one clip hardly differ here, so that scaling the merged logits is the same
    expected = softmax(np.log(raw) / told["temperature"], axis=1)
    np.testing.assert_allclose(evaluate(folder, corpus).predictions.output, expected, atol=0.02)
    again = calibrate(folder, coverage=None)
    assert again.temperature == pytest.approx(told["temperature"], rel=1e-3)
    assert (folder / "bundle/README.md").read_text().count("## Calibration") == 1


def test_a_temperature_for_classes_per_frame(
    corpus: Manifest, make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that a plain search over all validation frames finds; evaluation then uses it, and abstains by frame."""
    monkeypatch.setattr(calibrating, "FEWEST", 4)
    rng = np.random.default_rng(0)
    for number in range(12):
        labels = ["bright" if number % 2 ^ (rng.random() < 0.25) else "dark" for _ in range(20)]
        table = pd.DataFrame({"time": np.arange(20) / 25, "label": labels})
        table.to_csv(tmp_path / f"{number}.csv", index=False)
    frame = corpus.frame.assign(
        path=[str(corpus.root / path) for path in corpus.frame["path"]],
        labels=[str(tmp_path / f"{number}.csv") for number in range(12)],
    )
    manifest = Manifest(frame, corpus.root)
    task = TaskConfig(kind="classification", outputs=("dark", "bright"), level="frame")
    bundle = make_bundle(tmp_path / "frames", task, [-20.0, 20.0], [9.0, -9.0])
    before = evaluate(bundle, manifest, "validation").predictions
    raw, truth = np.log(before.output), before.truth

    def surprise(temperature: float) -> float:
        return log_loss(truth, softmax(raw / temperature, axis=1), labels=[0, 1])

    found = calibrate(bundle, manifest, coverage=0.6)
    assert (found.clips, found.answers) == (4, 80)
    grid = np.geomspace(1, 20, 2000)
    best = grid[np.argmin([surprise(one) for one in grid])]
    assert 2 < best < 15
    assert found.temperature == pytest.approx(best, rel=5e-3)
    assert found.after["nll"] == pytest.approx(surprise(found.temperature), abs=1e-6)
    after = evaluate(bundle, manifest, "validation")
    np.testing.assert_allclose(after.predictions.output, softmax(raw / found.temperature, axis=1), atol=1e-4)
    assert after.answered is not None
    table = after.table()
    sure = table[["dark", "bright"]].max(axis=1) >= found.calibration.confidence
    assert (table["abstain"] == np.where(sure, "", "low confidence")).all()
    assert after.answered.coverage == pytest.approx(found.answered) == sure.mean()


def test_evaluation_says_what_would_not_be_answered(
    run: Callable[..., Path], corpus: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Clips that a calibrated bundle abstains from keep their row and get a reason; figures are given without them."""
    monkeypatch.setattr(calibrating, "FEWEST", 4)
    folder = run()
    assert "abstain" not in evaluate(folder, corpus).table()
    calibrate(folder, coverage=0.5)
    noted = Manifest(
        corpus.frame.assign(face_size=[80.0] * 11 + [20.0], light=[0.5] * 9 + [0.01, 0.5, 0.5]), corpus.root
    )
    result = evaluate(folder, noted)
    table = result.table().set_index("id")
    least = load(folder).specification.calibration.confidence
    sure = table[["dark", "bright"]].max(axis=1) >= least
    expected = {"clip09": "too dark", "clip11": "too small"}
    assert dict(table["abstain"]) == {
        id_: expected.get(id_, "" if sure[id_] else "low confidence") for id_ in table.index
    }
    assert result.answered.coverage == (table["abstain"] == "").mean()
    kept = table[table["abstain"] == ""]
    summary = result.summary()["answered"]
    assert summary["clips"] == len(kept)
    assert summary["reasons"] == dict(table.loc[table["abstain"] != "", "abstain"].value_counts())
    war = next(score for score in summary["scores"] if score["name"] == "war")
    assert war["value"] == (kept["truth"] == kept["prediction"]).mean()
    paths = result.write(tmp_path / "out")
    assert pd.read_csv(paths["predictions"], keep_default_na=False)["abstain"].tolist() == table["abstain"].tolist()
    assert "With abstaining" in paths["report"].read_text()
    assert judge_file(paths["predictions"])["war"].value == result["war"].value


def test_too_few_clips_and_no_probabilities(run: Callable[..., Path], reader: Path, corpus: Manifest) -> None:
    with pytest.raises(UsageError, match="4 validation clips are too few; at least 10"):
        calibrate(run())
    with pytest.raises(UsageError, match="give --data MANIFEST"):
        calibrate(reader)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrating, "FEWEST", 4)
        with pytest.raises(UsageError, match="gives values, not probabilities"):
            calibrate(reader, corpus, coverage=0.9)
