"""Values told as bins too: layout, losses with gaps, constant signals, frozen encoders, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mien.errors import UsageError
from mien.models import create_encoder
from mien.models.contract import Features, Recogniser
from mien.models.specification import TaskConfig
from mien.tasks import create_model, create_task
from mien.tasks.binned import Binned, bins_of
from mien.tasks.binned_losses import weights_of
from mien.tasks.recurrent import RecurrentHead

LOSSES = (
    "mse",
    "ccc",
    "ce",
    "bce",
    "ccc+ce",
    "ccc+ce+mse",
    "arousal:ccc+ce",
    "arousal:ccc+ce+mse",
    "ccc+ncce",
    "ccc+ncce+mse",
    "brier+mse",
)


def task(outputs: tuple[str, ...] = ("arousal", "valence"), level: Any = "frame", **options: Any) -> Binned:
    made = create_task(TaskConfig(kind="binned", level=level, outputs=outputs, options=options))
    assert isinstance(made, Binned)
    return made


@pytest.mark.parametrize("loss", LOSSES)
def test_gaps_and_constant_signals_keep_losses_finite(loss: str) -> None:
    outputs = torch.zeros(2, 30, 42, requires_grad=True)
    target = torch.zeros(2, 30, 2)
    target[0, :7, 1] = torch.nan
    value = task(loss=loss).loss(outputs, {"target": target})
    value.backward()
    assert torch.isfinite(value)
    assert outputs.grad is not None
    assert torch.isfinite(outputs.grad).all()
    # bins and value of valence feel nothing where valence is not labelled
    assert (outputs.grad[0, :7, 21:] == 0).all()


def test_nothing_labelled_gives_no_gradient() -> None:
    outputs = torch.randn(1, 5, 42, requires_grad=True)
    value = task().loss(outputs, {"target": torch.full((1, 5, 2), torch.nan)})
    value.backward()
    assert value.item() == 0
    assert outputs.grad is not None
    assert (outputs.grad == 0).all()


def test_reading_follows_the_layout() -> None:
    outputs = torch.full((1, 1, 8), -20.0)
    outputs[0, 0, [1, 3, 6, 7]] = torch.tensor([20.0, 20.0, 20.0, 0.0])
    one = task(bins=3)
    torch.testing.assert_close(one.read(outputs), torch.tensor([[[1.0, 0.0]]]))
    details = one.details(outputs)
    assert details.unflatten(-1, (2, 3)).argmax(-1).tolist() == [[[1, 2]]]
    kept = one.digest(torch.cat([one.read(outputs), details], dim=-1).double().numpy())
    assert kept.tolist() == [[[1.0, 0.0, 1.0, 2.0]]]


def test_a_right_answer_costs_nothing_more() -> None:
    truth = torch.rand(1, 40, 2) * 2 - 1
    bins = torch.from_numpy(bins_of(truth.numpy(), 20))
    logits = torch.full((1, 40, 2, 21), -30.0)
    logits[..., :20].scatter_(-1, bins[..., None], 30.0)
    logits[..., 20] = ((truth + 1) / 2).logit()
    for loss in LOSSES:
        assert task(loss=loss).loss(logits.flatten(-2), {"target": truth}).item() == pytest.approx(0, abs=1e-5)


def test_favouring_arousal_needs_arousal() -> None:
    with pytest.raises(UsageError, match="favours arousal"):
        task(("valence",), loss="arousal:ccc+ce")
    assert weights_of("arousal:ccc+ce", ("valence", "arousal"), 20)["valence"] == {"ccc": 1.0}


@pytest.mark.parametrize(("frozen", "still"), [("stem", ("stem.",)), ("all", ("stem.", "stages."))])
def test_frozen_parts_stay_as_they_are(frozen: str, still: tuple[str, ...]) -> None:
    encoder = create_encoder("vaerr_test", frozen=frozen).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.forward_features({"video": torch.randn(2, 1, 6, 32, 32)})
    for name, value in encoder.state_dict().items():
        if name.startswith(still):
            assert torch.equal(value, before[name]), name
        elif name.endswith("running_mean"):
            assert not torch.equal(value, before[name]), name


def test_lengths_in_any_order_are_as_if_alone() -> None:
    head = RecurrentHead(8, 4, hidden=6).eval()
    frames = torch.randn(3, 9, 8)
    lengths = [4, 9, 1]
    with torch.inference_mode():
        both = head(Features(frames.mean(1), frames=frames), {"length": torch.tensor(lengths)})
        for row, length in enumerate(lengths):
            alone = head(Features(frames[:1, 0], frames=frames[row : row + 1, :length]), {})
            torch.testing.assert_close(both[row, :length], alone[0])


def test_a_small_model_learns_brightness() -> None:
    torch.manual_seed(0)
    options = {"hidden": 8, "layers": 1, "bins": 5}
    config = TaskConfig(kind="binned", level="frame", outputs=("arousal", "valence"), options=options)
    model = create_model("vaerr_test", config, widths=(8, 8), blocks=1)
    assert isinstance(model, Recogniser)
    judge = create_task(config)
    light = torch.from_numpy(np.sin(np.linspace(0, 12, 4 * 16)).reshape(4, 16).astype(np.float32))
    video = (light[:, None, :, None, None] + 0.05 * torch.randn(4, 1, 16, 16, 16)).contiguous()
    batch = {"video": video, "target": torch.stack([light, -light], dim=-1)}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = judge.loss(model(batch), batch).item()
    for _ in range(25):
        optimiser.zero_grad()
        judge.loss(model(batch), batch).backward()
        optimiser.step()
    assert judge.loss(model(batch), batch).item() < 0.5 * first
