"""Start values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mien.nn.initialise import SkipInitialisation, normal_linears, xavier_linears


def test_normal_and_xavier_spread() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(300, 500)
    normal_linears(layer)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
    xavier_linears(layer)
    bound = math.sqrt(6 / 800)
    assert layer.weight.abs().max().item() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not layer.bias.any()


def test_skipping_draws_nothing_and_computes_everything_else() -> None:
    state = torch.random.get_rng_state()
    with SkipInitialisation():
        layer = nn.Linear(4, 4)
        nn.init.trunc_normal_(layer.weight)
        table = torch.arange(3) * 2.0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert table.tolist() == [0.0, 2.0, 4.0]
    assert layer.weight.shape == (4, 4)


def test_skipping_ends_where_memory_is_out_of_bounds() -> None:
    """PyTorch draws a truncated normal until it fits; skipped draws on such memory must not go on for ever."""
    memory = torch.full((3, 4), 1e9)
    with SkipInitialisation():
        nn.init.trunc_normal_(memory, std=0.02, a=-0.02, b=0.02)
    assert memory.abs().max() <= 0.02
