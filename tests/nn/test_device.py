"""What a device can hold, and constants that are sent there once; a coarse device is one without float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mien.models.specification import TaskConfig
from mien.nn import device as module
from mien.nn.device import exactly, finest, forget_sent, send, sent_once
from mien.tasks import create_task

CPU = torch.device("cpu")


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor as a device without float64."""
    monkeypatch.setattr(module, "COARSE", frozenset({"cpu"}))


def test_apples_devices_have_no_float64() -> None:
    assert finest(torch.device("mps")) == torch.float32
    assert {finest(torch.device(name)) for name in ("cpu", "cuda", "cuda:1")} == {torch.float64}


def test_what_is_sent_fits(coarse: None) -> None:
    kinds = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool)
    sent = [send(torch.ones(2, dtype=kind), CPU).dtype for kind in kinds]
    assert sent == [torch.float32, *kinds[1:]]
    assert exactly(torch.ones(2)).dtype == torch.float64


def test_a_gradient_comes_back_from_where_it_was_computed_exactly(coarse: None) -> None:
    values = torch.ones(2, requires_grad=True)
    send(exactly(values).square().sum(), CPU).backward()
    assert values.grad is not None
    assert values.grad.tolist() == [2.0, 2.0]
    assert values.grad.dtype == torch.float32


def test_constants_are_made_once_and_serve_training_after_prediction() -> None:
    made: list[int] = []

    @sent_once
    def ramp(steps: int) -> Tensor:
        made.append(steps)
        return torch.arange(steps, dtype=torch.float32)

    with torch.inference_mode():
        first = ramp(CPU, 3)
    weights = torch.ones(3, requires_grad=True)
    (weights * ramp(CPU, 3)).sum().backward()  # one that was made in inference mode could not be kept for this
    assert ramp(CPU, 3) is first
    assert ramp(CPU, 4).tolist() == [0, 1, 2, 3]
    assert made == [3, 4]
    forget_sent()
    ramp(CPU, 3)
    assert made == [3, 4, 3]


@pytest.mark.parametrize("ways", [{}, {"ccc": "published", "cross_entropy": "published"}])
def test_values_fall_into_the_same_bins_without_float64(ways: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("arousal", "valence")
    task = create_task(TaskConfig(kind="binned", level="frame", outputs=names, options={"bins": 20, **ways}))
    draws = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 40, 2 * 21, generator=draws)
    # tenths lie on the borders of bins, where a sum in float32 is rounded up
    target = torch.randint(-10, 11, (3, 40, 2), generator=draws) / 10
    fine = task.loss(outputs, {"target": target})
    monkeypatch.setattr(module, "COARSE", frozenset({"cpu"}))
    coarse = task.loss(outputs, {"target": target})
    assert coarse.dtype == torch.float32
    torch.testing.assert_close(coarse, fine.float(), rtol=1e-6, atol=0)
    assert (((target + 1) * 10).floor() != ((target.double() + 1) * 10).floor()).any()
