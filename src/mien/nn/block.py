"""The pre-norm transformer block and its parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.nn.attention import SelfAttention
from mien.nn.drop_path import DropPath
from mien.nn.recompute import Recomputable, recomputable


class Mlp(nn.Module):
    """Two linear layers with exact GELU between: C → ratio·C → C, dropout last."""

    def __init__(self, dim: int, ratio: float = 4.0, dropout: float = 0.0) -> None:
        super().__init__()
        hidden = int(dim * ratio)
        self.expand = nn.Linear(dim, hidden)
        self.activation = nn.GELU()
        self.contract = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., C)`` → ``(..., C)``."""
        out: Tensor = self.dropout(self.contract(self.activation(self.expand(tokens))))
        return out


class LayerScale(nn.Module):
    """Learned factor per channel on a residual branch (Touvron et al., CaiT, 2021); starts at ``initial``."""

    def __init__(self, dim: int, initial: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dim,), initial))

    def forward(self, branch: Tensor) -> Tensor:
        """``(..., C)`` → ``(..., C)``."""
        return branch * self.weight


def layer_scale_or_identity(dim: int, initial: float) -> nn.Module:
    """``LayerScale`` where ``initial`` is above 0, else nothing."""
    return LayerScale(dim, initial) if initial > 0 else nn.Identity()


class Block(Recomputable):
    """``x + dp(γ₁·attention(norm(x)))``, then ``x + dp(γ₂·mlp(norm(x)))``.

    Args:
        dim: token width C.
        heads: attention heads.
        mlp_ratio: hidden width of the MLP over C.
        qv_bias: bias on queries and values.
        qk_scale: factor on the dot products; None is ``(C / heads) ** -0.5``.
        norm_eps: epsilon of both layer norms.
        layer_scale: start value of γ; 0 leaves γ out.
        drop_path: rate of stochastic depth, drawn for each branch.
        dropout, attention_dropout: inside the branches.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        qv_bias: bool = True,
        qk_scale: float | None = None,
        norm_eps: float = 1e-6,
        layer_scale: float = 0.0,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.attention = SelfAttention(
            dim, heads, qv_bias=qv_bias, scale=qk_scale, dropout=dropout, attention_dropout=attention_dropout
        )
        self.attention_scale = layer_scale_or_identity(dim, layer_scale)
        self.mlp_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, mlp_ratio, dropout)
        self.mlp_scale = layer_scale_or_identity(dim, layer_scale)
        self.drop_path = DropPath(drop_path)

    @recomputable
    def forward(self, tokens: Tensor, last: int | None = None) -> Tensor:
        """``(B, N, C)`` → ``(B, N, C)``, or only the last tokens ``(B, last, C)`` where no one asks for the others."""
        return self.work(tokens, last)

    def work(self, tokens: Tensor, last: int | None = None) -> Tensor:
        """As ``forward``, as a part of what is computed anew."""
        seen = self.attention(self.attention_norm(tokens), last)
        tokens = (tokens if last is None else tokens[:, -last:]) + self.drop_path(self.attention_scale(seen))
        return tokens + self.drop_path(self.mlp_scale(self.mlp(self.mlp_norm(tokens))))
