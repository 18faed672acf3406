"""Signs of collapse on vectors of which it is known, and on runs that collapse by a known cause."""

from __future__ import annotations

import math

import pytest
import torch

from mien.errors import MienError
from mien.models.specification import VideoInput
from mien.pretext import Moment, Pretext, create_pretext
from mien.pretext.collapse import LEAST_ENTROPY, LEAST_SPREAD, information, rank_entropy, spread, verdict

VIDEO = VideoInput(frames=4, fps=25.0, size=32, channels="grey", mean=(0.0,), std=(1.0,))


def test_spread_is_one_for_any_direction_and_zero_for_one() -> None:
    torch.manual_seed(0)
    assert spread(torch.randn(4000, 64)) == pytest.approx(1.0, abs=1e-3)
    assert spread(torch.randn(1, 64).expand(50, -1) * torch.rand(50, 1)) == pytest.approx(0.0, abs=1e-3)
    # half of the vectors one way, half at right angles: |mean|² = 1/2
    assert spread(torch.eye(2).repeat(10, 1)) == pytest.approx(math.sqrt(0.5))


def test_entropy_of_directions_by_hand() -> None:
    torch.manual_seed(0)
    assert rank_entropy(torch.eye(8)) == pytest.approx(1.0, abs=1e-5)
    line = torch.linspace(-1, 1, 20)[:, None] * torch.randn(1, 16)
    assert rank_entropy(line) == pytest.approx(0.0, abs=1e-4)
    # two axes with variances 3 to 1, of 9 that 10 vectors in 16 dimensions can have
    square = torch.tensor([[3**0.5, 0], [-(3**0.5), 0], [0, 1.0], [0, -1.0]] + [[0.0, 0.0]] * 6)
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
    assert rank_entropy(square) == pytest.approx(expected, abs=1e-4)
    assert rank_entropy(torch.ones(10, 16) + 1e-7 * torch.randn(10, 16)) == 0.0


def test_information_is_zero_in_both_ways_to_collapse() -> None:
    assert information(torch.full((6, 4), 0.25)) == pytest.approx(0.0, abs=1e-6)
    assert information(torch.eye(4)[[0] * 6]) == pytest.approx(0.0, abs=1e-6)
    assert information(torch.eye(4).repeat(3, 1)) == pytest.approx(1.0)


def test_a_verdict_names_number_limit_and_remedy() -> None:
    assert verdict({"feature_std": LEAST_SPREAD, "target_entropy": LEAST_ENTROPY}, "try") is None
    line = verdict({"feature_std": 0.001}, "raise it")
    assert line is not None
    assert line.startswith("collapsed: features hardly differ")
    assert line.endswith("raise it")
    assert verdict({"feature_std": 1.0, "target_entropy": math.nan}, "try") is not None


def trained(pretext: Pretext, steps: int, lr: float) -> dict[str, float]:
    """Last scalars of a few steps on clips of coarse squares."""
    torch.manual_seed(0)
    optimiser = torch.optim.SGD([p for p in pretext.parameters() if p.requires_grad], lr=lr)
    pretext.train()
    for step in range(steps):
        moment = Moment(step, steps, steps)
        coarse = torch.randn(8, 1, 1, 1, 4, 4).repeat_interleave(8, -1).repeat_interleave(8, -2)
        views = coarse + 0.1 * torch.randn(8, 2, 1, 4, 32, 32)
        pretext.before_step(moment)
        loss, values = pretext.loss({"views": views})
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pretext.after_step(moment)
    return {name: float(value) for name, value in values.items()}


def test_dino_whose_targets_are_all_uniform_says_so() -> None:
    torch.manual_seed(0)
    options = {"outputs": 16, "hidden": 32, "bottleneck": 16, "small_views": 0, "freeze_last_layer": 0}
    pretext = create_pretext("dino", "vaerr_test", {}, VIDEO, options)
    assert pretext.trouble({"feature_std": 0.35, "target_entropy": 0.11}) is None  # a run on faces that went well
    pretext.temperatures = (50.0, 50.0, 0)
    line = pretext.trouble(trained(pretext, 1, 0.0))
    assert line is not None
    assert "target_entropy" in line
    assert "teacher_temperature" in line


def test_byol_with_weights_decayed_away_says_so() -> None:
    torch.manual_seed(0)
    pretext = create_pretext("byol", "vaerr_test", {}, VIDEO, {"projection": 16, "hidden": 32, "momentum": 0.9})
    assert pretext.trouble(trained(pretext, 3, 0.01)) is None
    with torch.no_grad():
        for parameter in pretext.encoder.parameters():
            if parameter.ndim == 1:
                parameter.zero_()  # scale and shift of every norm: what decay without bounds leaves
    line = pretext.trouble(trained(pretext, 1, 0.0))
    assert line is not None
    assert "feature_std" in line


def test_byol_refuses_a_batch_of_one() -> None:
    pretext = create_pretext("byol", "vaerr_test", {}, VIDEO, {"projection": 16, "hidden": 32})
    with pytest.raises(MienError, match="needs two clips"):
        pretext.loss({"views": torch.randn(1, 2, 1, 4, 32, 32)})
