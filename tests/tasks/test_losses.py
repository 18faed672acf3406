"""Losses against hand-worked numbers, NumPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.tasks.losses import concordance_loss, cross_entropy, mean_squared_error


def reference_ccc(x: np.ndarray, y: np.ndarray) -> float:
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    return float(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def test_cross_entropy_of_a_hand_worked_case() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]))
    loss = cross_entropy(logits, torch.tensor([0, 2]))
    assert loss.item() == pytest.approx(-(np.log(0.7) + np.log(0.1)) / 2, abs=1e-6)


def test_label_smoothing_equals_smoothed_soft_targets() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([0, 3, 1, 2, 2])
    smoothed = torch.full((5, 4), 0.1 / 4)
    smoothed[torch.arange(5), ids] += 0.9
    assert cross_entropy(logits, ids, 0.1).item() == pytest.approx(cross_entropy(logits, smoothed).item(), abs=1e-6)
    one_hot = torch.eye(4)[ids]
    mixed = 0.3 * one_hot + 0.7 * one_hot.flip(0)
    by_hand = -((0.9 * mixed + 0.1 / 4) * logits.log_softmax(1)).sum(1).mean()
    assert cross_entropy(logits, mixed, 0.1).item() == pytest.approx(by_hand.item(), abs=1e-6)


def test_class_weights_weigh_the_mean() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    weights = torch.tensor([1.0, 3.0])
    first, wrong, right = -np.log(np.exp(2) / (np.exp(2) + 1)), -np.log(1 / (1 + np.e)), -np.log(np.e / (1 + np.e))
    same = cross_entropy(logits, torch.tensor([0, 0]), class_weights=weights)
    assert same.item() == pytest.approx((first + wrong) / 2, abs=1e-6)
    both = cross_entropy(logits, torch.tensor([0, 1]), class_weights=weights)
    assert both.item() == pytest.approx((1.0 * first + 3.0 * right) / 4.0, abs=1e-6)


def test_unlabelled_items_take_no_part() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    alone = cross_entropy(logits[:1], torch.tensor([2]))
    with_gaps = cross_entropy(logits, torch.tensor([2, -100, -100]))
    assert with_gaps.item() == pytest.approx(alone.item(), abs=1e-6)
    soft = torch.full((3, 4), float("nan"))
    soft[0] = torch.eye(4)[2]
    assert cross_entropy(logits, soft).item() == pytest.approx(alone.item(), abs=1e-6)
    nothing = cross_entropy(logits, torch.full((3,), -100))
    nothing.backward()
    assert nothing.item() == 0
    assert torch.equal(logits.grad, torch.zeros(3, 4))


def test_per_frame_classes_count_every_labelled_frame() -> None:
    logits = torch.randn(2, 5, 3)
    target = torch.tensor([[0, 1, 2, -100, -100], [1, 1, 1, 1, 0]])
    flat = target != -100
    assert cross_entropy(logits, target).item() == pytest.approx(cross_entropy(logits[flat], target[flat]).item())
    with pytest.raises(ValueError, match="do not fit"):
        cross_entropy(logits, target[:, :4])


def test_mean_squared_error_skips_gaps() -> None:
    outputs = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    target = torch.tensor([[0.0, float("nan")], [1.0, 4.5]])
    loss = mean_squared_error(outputs, target)
    loss.backward()
    assert loss.item() == pytest.approx((1 + 4 + 0.25) / 3)
    assert outputs.grad[0, 1] == 0
    assert torch.isfinite(outputs.grad).all()
    assert mean_squared_error(outputs, torch.full((2, 2), float("nan"))).item() == 0


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 60), st.floats(0.0, 0.9))
def test_concordance_equals_the_formula_over_labelled_frames(seed: int, frames: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(3, frames)), rng.normal(size=(3, frames)) * 2 + 0.5
    keep = rng.random((3, frames)) >= missing
    keep[0, :2] = True
    loss = concordance_loss(torch.tensor(x)[..., None], torch.tensor(np.where(keep, y, np.nan))[..., None])
    assert loss.item() == pytest.approx(1 - reference_ccc(x[keep], y[keep]), abs=2e-4)


def test_concordance_averages_over_values() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    expected = 1 - np.mean([reference_ccc(x[:, k], y[:, k]) for k in range(2)])
    assert concordance_loss(torch.tensor(x), torch.tensor(y)).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("outputs", "target"),
    [
        (torch.full((30, 1), 0.3), torch.linspace(-1, 1, 30)[:, None]),
        (torch.linspace(-1, 1, 30)[:, None], torch.full((30, 1), 0.3)),
        (torch.full((30, 1), 0.3), torch.full((30, 1), 0.3)),
        (torch.zeros(30, 1), torch.zeros(30, 1)),
    ],
)
def test_constant_signals_give_one_and_a_finite_gradient(outputs: torch.Tensor, target: torch.Tensor) -> None:
    outputs = outputs.clone().requires_grad_()
    loss = concordance_loss(outputs, target)
    loss.backward()
    assert loss.item() == pytest.approx(1.0, abs=1e-5)
    assert torch.isfinite(outputs.grad).all()


def test_a_constant_output_can_still_learn() -> None:
    outputs = torch.full((30, 1), 0.3, requires_grad=True)
    concordance_loss(outputs, torch.linspace(-1, 1, 30)[:, None]).backward()
    assert outputs.grad.abs().max() > 0


def test_concordance_gradient_equals_finite_differences() -> None:
    rng = torch.Generator().manual_seed(3)
    outputs = torch.randn(12, 2, generator=rng, requires_grad=True)
    target = torch.randn(12, 2, generator=rng)
    target[4, 0] = float("nan")
    concordance_loss(outputs, target).backward()
    step = 1e-2
    for place in ((0, 0), (4, 0), (7, 1)):
        up, down = outputs.detach().clone(), outputs.detach().clone()
        up[place] += step
        down[place] -= step
        slope = (concordance_loss(up, target) - concordance_loss(down, target)).item() / (2 * step)
        assert outputs.grad[place].item() == pytest.approx(slope, abs=2e-4)


def test_a_value_without_labels_takes_no_part() -> None:
    outputs = torch.randn(10, 2, requires_grad=True)
    target = torch.randn(10, 2)
    alone = concordance_loss(outputs[:, :1], target[:, :1])
    target[:, 1] = float("nan")
    loss = concordance_loss(outputs, target)
    loss.backward()
    assert loss.item() == pytest.approx(alone.item())
    assert torch.equal(outputs.grad[:, 1], torch.zeros(10))
    assert concordance_loss(outputs, torch.full((10, 2), float("nan"))).item() == 0
