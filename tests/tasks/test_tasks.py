"""Tasks: built from data, refusals, reading, merging, and that they can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

import mien
from mien.errors import UsageError
from mien.models.contract import Encoder, Features, ModelInputs, Recogniser
from mien.models.specification import TaskConfig
from mien.tasks import Classification, create_model, create_task


class TinyEncoder(Encoder):
    """Means over space, one time step per two frames, then a linear layer."""

    feature_dim, depth = 6, 1

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 6)

    def forward_features(self, inputs: ModelInputs) -> Features:
        steps = inputs["video"].mean(dim=(3, 4)).unflatten(2, (-1, 2)).mean(dim=3).transpose(1, 2)
        frames = self.linear(steps)
        return Features(frames.mean(dim=1), frames=frames)


def config(
    kind: str = "classification", level: str = "clip", outputs: Any = ("a", "b", "c"), **options: Any
) -> TaskConfig:
    return TaskConfig(kind=kind, level=level, outputs=tuple(outputs), options=options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (config("clasification"), "not known; there are binned, classification, dimensions, intensities, traits"),
        (config(label_smooting=0.1), "did you mean label_smoothing"),
        (config(label_smoothing=1.5), "label_smoothing = 1.5"),
        (config(class_weights=[1.0, 2.0]), "one number of 0 or more for each of a, b, c"),
        (config(outputs=("a",)), "at least two"),
        (config(level="frame", class_weights="balanced"), "one class per clip"),
        (config(level="frame", per="group"), "one class per clip"),
        (config("traits", level="frame"), "traits are given per clip"),
        (config(outputs=("a", "b", "a")), "a more than once"),
        (config("dimensions", loss="mae"), "loss = 'mae'"),
        (config("dimensions", outputs=("valence", "arousal"), targets=["v"]), "one column for each"),
    ],
)
def test_refusals_name_value_and_rule(bad: TaskConfig, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        create_task(bad)
    assert "\n" not in str(caught.value)


def test_classification_reads_probabilities() -> None:
    task = create_task(config(target="emotion"))
    outputs = torch.randn(4, 3, dtype=torch.bfloat16)
    read = task.read(outputs)
    assert read.dtype == torch.float32
    torch.testing.assert_close(read.sum(1), torch.ones(4))
    assert (task.target_columns(), task.columns(), task.classes) == (("emotion",), ("a", "b", "c"), ("a", "b", "c"))


def test_balanced_weights_follow_the_training_clips() -> None:
    """As scikit-learn's ``compute_class_weight("balanced")``; a class that does not occur weighs nothing."""
    truth = torch.tensor([0, 0, 0, 1, -100])
    task = create_task(config(class_weights="balanced"))
    assert isinstance(task, Classification)
    task.count(truth)
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([4 / (3 * 3), 4 / (3 * 1), 0.0])
    expected = nn.functional.cross_entropy(outputs, truth[:4], weight=weights)
    torch.testing.assert_close(task.loss(outputs, {"target": truth[:4]}), expected)
    assert np.allclose(weights[:2] * 3 / 2, compute_class_weight("balanced", classes=np.arange(2), y=truth[:4].numpy()))


def test_traits_are_judged_as_the_challenge_does() -> None:
    task = create_task(config("traits", outputs=("openness", "neuroticism")))
    assert task.metrics() == ("ccc", "one_minus_mae", "r2")
    outputs, truth = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.25, torch.nan]])
    torch.testing.assert_close(task.read(outputs), torch.tensor([[0.5, torch.tensor(3.0).sigmoid()]]))
    torch.testing.assert_close(task.loss(outputs, {"target": truth}), torch.tensor(0.0625))


def test_the_chosen_metric_comes_first() -> None:
    assert create_task(config(metric="weighted_f1")).metrics() == ("weighted_f1", "uar", "war", "macro_f1")


def test_views_are_averaged_as_probabilities() -> None:
    task = create_task(config(outputs=("a", "b")))
    views = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.4, 0.6], [0.2, 0.8]]])
    np.testing.assert_allclose(task.merge(views), [[0.65, 0.35], [0.2, 0.8]])


@pytest.mark.parametrize(("activation", "low", "high"), [("none", -100, 100), ("tanh", -1, 1), ("sigmoid", 0, 1)])
def test_activations_bound_values(activation: str, low: float, high: float) -> None:
    task = create_task(config("dimensions", outputs=("valence",), activation=activation))
    values = task.read(torch.tensor([[-50.0], [50.0]]))
    assert low <= values.min()
    assert values.max() <= high
    assert task.classes is None


def test_dimension_losses_add_up() -> None:
    outputs, batch = torch.randn(8, 2), {"target": torch.randn(8, 2)}
    loss = {
        name: create_task(config("dimensions", outputs=("v", "a"), loss=name)).loss(outputs, batch).item()
        for name in ("mse", "ccc", "ccc+mse")
    }
    assert loss["ccc+mse"] == pytest.approx(loss["mse"] + loss["ccc"], abs=1e-6)


@pytest.mark.parametrize("kind", ["classification", "dimensions"])
@pytest.mark.parametrize("level", ["clip", "frame"])
def test_every_task_can_learn(kind: str, level: str) -> None:
    torch.manual_seed(0)
    outputs = ("dark", "bright") if kind == "classification" else ("brightness",)
    task = create_task(config(kind, level, outputs))
    model = task.make_model(TinyEncoder())
    brightness = torch.rand(16, 1) + torch.rand(16, 1) * torch.linspace(0, 1, 8)
    video = brightness[:, None, :, None, None].expand(16, 3, 8, 4, 4)
    truth = brightness.mean(dim=1) if level == "clip" else brightness
    target = (truth > truth.median()).long() if kind == "classification" else truth[..., None]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        loss = task.loss(model({"video": video}), {"target": target})
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    read = task.read(model({"video": video}))
    assert read.shape == ((16, len(outputs)) if level == "clip" else (16, 8, len(outputs)))


def test_create_model_gives_encoder_or_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.tasks.create_encoder", lambda name, **arguments: TinyEncoder())
    assert isinstance(create_model("tiny"), TinyEncoder)
    model = create_model("tiny", config())
    assert isinstance(model, Recogniser)
    assert model({"video": torch.zeros(2, 3, 8, 4, 4)}).shape == (2, 3)
    assert mien.create_model is create_model
    assert model.layer_of("head.linear.weight") == 2
