"""Multi-head attention over tokens, with itself or with a context, through scaled dot products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.nn.products import scaled_dot_products


class _Attention(nn.Module):
    """What self- and cross-attention share: head geometry, query and value biases, the output projection.

    Keys carry no bias: it would add the same number to every logit of a query and cancel in the softmax.
    """

    query_bias: nn.Parameter | None
    value_bias: nn.Parameter | None

    def __init__(
        self, dim: int, heads: int, qv_bias: bool, scale: float | None, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} cannot be split into {heads} heads")
        self.dim = dim
        self.heads = heads
        self.scale = scale
        self.attention_dropout = attention_dropout
        self.register_parameter("query_bias", nn.Parameter(torch.zeros(dim)) if qv_bias else None)
        self.register_parameter("value_bias", nn.Parameter(torch.zeros(dim)) if qv_bias else None)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def _mix(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """``(B, h, N, d)`` queries over ``(B, h, M, d)`` keys and values → ``(B, N, C)``."""
        dropout = self.attention_dropout if self.training else 0.0
        mixed = scaled_dot_products(query, key, value, dropout=dropout, scale=self.scale)
        out: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return out


class SelfAttention(_Attention):
    """Multi-head self-attention with one fused projection, ``softmax(q·kᵀ·scale)·v`` per head.

    Rows of ``qkv.weight`` ``(3C, C)`` are queries, keys, values, each head-major.

    Args:
        dim: token width C.
        heads: number of heads; C must be a multiple.
        qv_bias: learn a bias for queries and values.
        full_bias: a plain bias on the fused projection, keys included, in place of ``qv_bias`` (some published ViTs).
        scale: factor on the dot products; None is ``(C / heads) ** -0.5``.
        dropout: after the output projection.
        attention_dropout: on the attention weights.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        qv_bias: bool = True,
        full_bias: bool = False,
        scale: float | None = None,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, heads, qv_bias and not full_bias, scale, dropout, attention_dropout)
        self.qkv = nn.Linear(dim, 3 * dim, bias=full_bias)

    def forward(self, tokens: Tensor, last: int | None = None) -> Tensor:
        """``(B, N, C)`` → ``(B, N, C)``, or ``(B, last, C)`` for the last tokens alone, which still see all."""
        bias: Tensor | None = self.qkv.bias
        if self.query_bias is not None and self.value_bias is not None:
            bias = torch.cat((self.query_bias, torch.zeros_like(self.query_bias), self.value_bias))
        if last is not None and last < tokens.shape[1]:
            return self._last(tokens, last, bias)
        qkv = F.linear(tokens, self.qkv.weight, bias).unflatten(2, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return self._mix(query, key, value)

    def _last(self, tokens: Tensor, last: int, bias: Tensor | None) -> Tensor:
        parts = (self.dim, 2 * self.dim)
        (query_weight, weight) = self.qkv.weight.split(parts)
        (query_bias, bias) = (None, None) if bias is None else bias.split(parts)
        query = F.linear(tokens[:, -last:], query_weight, query_bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key, value = F.linear(tokens, weight, bias).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self._mix(query, key, value)


class CrossAttention(_Attention):
    """Multi-head attention of query tokens over a context, with split projections ``q`` and ``kv``.

    Rows of ``kv.weight`` ``(2C, D)`` are keys, then values, each head-major. With ``context`` left out it is
    self-attention with split projections.

    Args:
        dim: width C of the query tokens and of the result.
        heads: number of heads; C must be a multiple.
        context_dim: width D of the context; None is C.
        qv_bias, scale, dropout, attention_dropout: as in ``SelfAttention``.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        context_dim: int | None = None,
        qv_bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, heads, qv_bias, scale, dropout, attention_dropout)
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(context_dim or dim, 2 * dim, bias=False)

    def forward(self, tokens: Tensor, context: Tensor | None = None) -> Tensor:
        """``(B, N, C)`` queries and ``(B, M, D)`` context → ``(B, N, C)``."""
        context = tokens if context is None else context
        bias = None
        if self.value_bias is not None:
            bias = torch.cat((torch.zeros_like(self.value_bias), self.value_bias))
        query = F.linear(tokens, self.q.weight, self.query_bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
        kv = F.linear(context, self.kv.weight, bias).unflatten(2, (2, self.heads, -1))
        key, value = kv.permute(2, 0, 3, 1, 4).unbind(0)
        return self._mix(query, key, value)
