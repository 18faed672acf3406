"""Temperature scaling against a temperature that is known, and what ``mien calibrate`` leaves behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from mien.checkpoints.bundle import load
from mien.checkpoints.files import read_weights
from mien.cli.app import run as run_command
from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation import calibrating, evaluate
from mien.evaluation.calibrating import calibrate, fit_temperature, probabilities
from mien.models.familiarity import distance


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


def test_too_few_clips_and_no_probabilities(run: Callable[..., Path], reader: Path, corpus: Manifest) -> None:
    with pytest.raises(UsageError, match="4 validation clips are too few; at least 10"):
        calibrate(run())
    with pytest.raises(UsageError, match="give --data MANIFEST"):
        calibrate(reader)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrating, "FEWEST", 4)
        with pytest.raises(UsageError, match="gives values, not probabilities"):
            calibrate(reader, corpus, coverage=0.9)
