"""Attention against PyTorch's own multi-head module and against the written-out formula."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mien.nn import CrossAttention, SelfAttention


def scrambled(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return module.eval()


def oracle(
    dim: int, heads: int, query: Tensor, key_value: Tensor, bias: Tensor, out: nn.Linear
) -> nn.MultiheadAttention:
    reference = nn.MultiheadAttention(dim, heads, batch_first=True).eval()
    reference.in_proj_weight.data = torch.cat((query, key_value))
    reference.in_proj_bias.data = bias
    reference.out_proj.load_state_dict(out.state_dict())
    return reference


@settings(max_examples=15)
@given(heads=st.sampled_from([1, 2, 4]), tokens=st.integers(1, 7), batch=st.integers(1, 3))
def test_self_attention_is_multi_head_attention(heads: int, tokens: int, batch: int) -> None:
    ours = scrambled(SelfAttention(8, heads))
    x = torch.randn(batch, tokens, 8, generator=torch.Generator().manual_seed(tokens))
    bias = torch.cat((ours.query_bias, torch.zeros(8), ours.value_bias))
    theirs = oracle(8, heads, ours.qkv.weight.data[:8], ours.qkv.weight.data[8:], bias, ours.out)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], rtol=1e-5, atol=1e-6)


def test_cross_attention_is_multi_head_attention_over_a_context() -> None:
    ours = scrambled(CrossAttention(8, 2))
    x, context = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    bias = torch.cat((ours.query_bias, torch.zeros(8), ours.value_bias))
    theirs = oracle(8, 2, ours.q.weight.data, ours.kv.weight.data, bias, ours.out)
    torch.testing.assert_close(ours(x, context), theirs(x, context, context)[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], rtol=1e-5, atol=1e-6)


def test_cross_attention_over_a_context_of_another_width_by_hand() -> None:
    attention = scrambled(CrossAttention(4, 1, context_dim=3))
    x, context = torch.randn(1, 2, 4), torch.randn(1, 3, 3)
    query = x @ attention.q.weight.T + attention.query_bias
    key, value = (context @ attention.kv.weight.T).split(4, dim=-1)
    weights = (query @ key.transpose(1, 2) / 2).softmax(-1)  # sqrt(4) = 2
    expected = attention.out(weights @ (value + attention.value_bias))
    torch.testing.assert_close(attention(x, context), expected, rtol=1e-5, atol=1e-6)


def test_split_and_fused_projections_agree() -> None:
    fused, split = scrambled(SelfAttention(12, 3)), CrossAttention(12, 3).eval()
    state = fused.state_dict()
    weight = state.pop("qkv.weight")
    split.load_state_dict(state | {"q.weight": weight[:12], "kv.weight": weight[12:]})
    x = torch.randn(2, 6, 12)
    torch.testing.assert_close(split(x), fused(x), rtol=1e-5, atol=1e-6)


def test_scale_replaces_the_default() -> None:
    default, scaled = scrambled(SelfAttention(8, 2)), scrambled(SelfAttention(8, 2, scale=4**-0.5))
    other = scrambled(SelfAttention(8, 2, scale=3.0))
    x = torch.randn(1, 4, 8)
    torch.testing.assert_close(scaled(x), default(x))
    assert not torch.allclose(other(x), default(x), atol=1e-3)


def test_without_biases_there_are_none() -> None:
    attention = SelfAttention(8, 2, qv_bias=False)
    assert set(attention.state_dict()) == {"qkv.weight", "out.weight", "out.bias"}


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match="width 10 cannot be split into 4 heads"):
        SelfAttention(10, 4)


def test_dropout_on_attention_acts_in_training_only() -> None:
    attention = scrambled(SelfAttention(8, 2, attention_dropout=0.5))
    x = torch.randn(1, 16, 8)
    assert torch.equal(attention(x), attention(x))
    attention.train()
    torch.manual_seed(0)
    assert not torch.equal(attention(x), attention(x))
