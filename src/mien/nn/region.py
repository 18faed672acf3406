"""Regions of a token grid, and the block that lets them work inside and exchange between them (LGI-Former)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from mien.nn.attention import CrossAttention
from mien.nn.block import Mlp
from mien.nn.drop_path import DropPath
from mien.nn.patches import Size3
from mien.nn.recompute import Recomputable, recomputable


def regions_of(grid: Size3, region: Size3) -> int:
    """Number of regions of a grid; ``ValueError`` where they do not fit exactly."""
    if any(side % part for side, part in zip(grid, region, strict=True)):
        raise ValueError(f"a grid of {grid} tokens cannot be cut into regions of {region}")
    return (grid[0] // region[0]) * (grid[1] // region[1]) * (grid[2] // region[2])


def to_regions(tokens: Tensor, grid: Size3, region: Size3) -> Tensor:
    """Raster tokens ``(B, t·h·w, C)`` → ``(B, n, S, C)``: regions and places inside them in raster order."""
    regions_of(grid, region)
    (t, h, w), (rt, rh, rw) = grid, region
    cut = tokens.reshape(tokens.shape[0], t // rt, rt, h // rh, rh, w // rw, rw, -1)
    return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(1, 3)


def from_regions(tokens: Tensor, grid: Size3, region: Size3) -> Tensor:
    """The inverse of ``to_regions``."""
    (t, h, w), (rt, rh, rw) = grid, region
    cut = tokens.reshape(tokens.shape[0], t // rt, h // rh, w // rw, rt, rh, rw, -1)
    return cut.permute(0, 1, 4, 2, 5, 3, 6, 7).flatten(1, 6)


class RegionBlock(Recomputable):
    """One block of LGI-Former on tokens by region ``(B, n, 1 + S, C)``; place 0 is the region's own token.

    1. local: attention inside each region; 2. global: attention between the regions' own tokens; 3. local-global: the
    other tokens read the regions' own tokens; 4. MLP on all. Each on normed tokens, with a residual. Drop path is drawn
    per region in steps 1 and 4, per clip in 2 and 3.

    Args:
        dim, heads, mlp_ratio, qv_bias, qk_scale, norm_eps, drop_path, dropout, attention_dropout: as in ``Block``.
        first: ``cross`` updates only the region's own token in step 1, from the other tokens.
        second: leave out step 2 with False.
        third: ``self`` makes step 3 another attention inside each region; ``none`` leaves it out.
        sharing: attention weights shared by the first and third step, or by all three.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        first: Literal["self", "cross"] = "self",
        second: bool = True,
        third: Literal["self", "cross", "none"] = "cross",
        sharing: Literal["none", "first_third", "all"] = "none",
        mlp_ratio: float = 4.0,
        qv_bias: bool = True,
        qk_scale: float | None = None,
        norm_eps: float = 1e-6,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "qv_bias": qv_bias,
            "scale": qk_scale,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
        }

        def norm(wanted: bool = True) -> nn.LayerNorm | None:
            return nn.LayerNorm(dim, eps=norm_eps) if wanted else None

        self.local_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.local_context_norm = norm(first == "cross")
        self.local_attention = CrossAttention(dim, heads, **options)
        self.global_norm = norm(second)
        self.global_attention: CrossAttention | None = None
        if second:
            self.global_attention = self.local_attention if sharing == "all" else CrossAttention(dim, heads, **options)
        self.third = third
        self.exchange_norm = norm(third != "none")
        self.exchange_context_norm = norm(third == "cross")
        self.exchange_attention: CrossAttention | None = None
        if third != "none":
            own = sharing == "none"
            self.exchange_attention = CrossAttention(dim, heads, **options) if own else self.local_attention
        self.mlp_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, mlp_ratio, dropout)
        self.drop_path = DropPath(drop_path)

    @recomputable
    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, n, 1 + S, C)`` → the same shape."""
        batch, regions = tokens.shape[:2]
        own, rest = self._local(tokens.flatten(0, 1))
        own = own.unflatten(0, (batch, regions))
        if self.global_attention is not None and self.global_norm is not None:
            own = own + self.drop_path(self.global_attention(self.global_norm(own)))
        tokens = self._exchange(own, rest)
        tokens = tokens + self.drop_path(self.mlp(self.mlp_norm(tokens)))
        return tokens.unflatten(0, (batch, regions))

    def _local(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Step 1 on ``(B·n, 1 + S, C)``: the regions' own tokens ``(B·n, C)`` and the rest ``(B·n, S, C)``."""
        if self.local_context_norm is None:
            tokens = tokens + self.drop_path(self.local_attention(self.local_norm(tokens)))
            return tokens[:, 0], tokens[:, 1:]
        own, rest = tokens[:, :1], tokens[:, 1:]
        seen = self.local_attention(self.local_norm(own), self.local_context_norm(rest))
        return (own + self.drop_path(seen))[:, 0], rest

    def _exchange(self, own: Tensor, rest: Tensor) -> Tensor:
        """Step 3: ``own (B, n, C)`` and ``rest (B·n, S, C)`` → all tokens again, ``(B·n, 1 + S, C)``."""
        if self.exchange_attention is None or self.exchange_norm is None:
            return _joined(own, rest)
        if self.exchange_context_norm is None:
            tokens = _joined(own, rest)
            return tokens + self.drop_path(self.exchange_attention(self.exchange_norm(tokens)))
        clip = rest.reshape(own.shape[0], -1, own.shape[-1])
        seen = self.exchange_attention(self.exchange_norm(clip), self.exchange_context_norm(own))
        return _joined(own, (clip + self.drop_path(seen)).reshape(rest.shape))


def _joined(own: Tensor, rest: Tensor) -> Tensor:
    """``(B, n, C)`` in front of ``(B·n, S, C)`` → ``(B·n, 1 + S, C)``."""
    return torch.cat((own.flatten(0, 1)[:, None], rest), dim=1)
