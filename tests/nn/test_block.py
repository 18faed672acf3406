"""Blocks, layer scale and stochastic depth."""

from __future__ import annotations

import pytest
import torch

from mien.nn import Block, DropPath, drop_path_rates
from mien.nn.block import LayerScale


def test_block_is_two_residual_branches() -> None:
    block = Block(8, 2, layer_scale=0.1).eval()
    x = torch.randn(2, 5, 8)
    after = x + 0.1 * block.attention(block.attention_norm(x))
    expected = after + 0.1 * block.mlp(block.mlp_norm(after))
    torch.testing.assert_close(block(x), expected)


def test_layer_scale_is_there_only_when_asked_for() -> None:
    assert not any("scale" in name for name, _ in Block(8, 2).named_parameters())
    assert {"attention_scale.weight", "mlp_scale.weight"} <= set(Block(8, 2, layer_scale=1e-4).state_dict())
    assert torch.equal(LayerScale(3, 0.5)(torch.ones(2, 3)), torch.full((2, 3), 0.5))


def test_drop_path_drops_whole_entries_of_the_first_axis_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropped = DropPath(0.25).train()(torch.ones(4000, 3, 2))
    per_entry = dropped.flatten(1)
    assert per_entry.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(per_entry.amin(1), per_entry.amax(1))
    assert per_entry.mean().item() == pytest.approx(1.0, abs=0.05)


def test_drop_path_rests_in_evaluation_and_at_rate_0() -> None:
    x = torch.randn(4, 2)
    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0).train()(x) is x


def test_drop_path_rate_must_leave_something() -> None:
    with pytest.raises(ValueError, match=r"rate 1\.0 is not in 0\.\.1"):
        DropPath(1.0)


@pytest.mark.parametrize(("depth", "expected"), [(1, [0.0]), (3, [0.0, 0.1, 0.2])])
def test_rates_rise_linearly(depth: int, expected: list[float]) -> None:
    assert drop_path_rates(0.2, depth) == pytest.approx(expected)
