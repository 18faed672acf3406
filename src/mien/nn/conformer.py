"""Conformer: self-attention with relative positions and convolution over time, between two halves of a feed-forward.

Gulati et al., Conformer: Convolution-augmented Transformer for Speech Recognition, arXiv 2005.08100; attention with
relative sinusoids after Dai et al., Transformer-XL, arXiv 1901.02860.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.nn.device import sent_once


def relative_sinusoids(steps: int, dim: int) -> Tensor:
    """Encoding ``(2·steps - 1, dim)`` of distances ``steps - 1 … -(steps - 1)``; sines at even channels."""
    distance = torch.arange(steps - 1, -steps, -1, dtype=torch.float64)[:, None]
    angle = distance / 10000.0 ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :dim].float()


_positions = sent_once(relative_sinusoids)


def by_distance(scores: Tensor) -> Tensor:
    """Scores ``(..., T, 2T - 1)`` of a query with distances ``T - 1 … -(T - 1)`` → ``(..., T, T)`` with keys.

    Entry (i, j) is the score of query i at distance i - j.
    """
    steps = scores.shape[-2]
    padded = functional.pad(scores, (1, 0))
    rolled = padded.reshape(*scores.shape[:-2], 2 * steps, steps)[..., 1:, :]
    return rolled.reshape(*scores.shape)[..., :steps]


class RelativeAttention(nn.Module):
    """Self-attention whose scores add what a query makes of a key's distance: ``(B, T, C)`` → ``(B, T, C)``."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} cannot be split into {heads} heads")
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.distance = nn.Linear(dim, dim, bias=False)
        self.content_bias = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, dim // heads)))
        self.distance_bias = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, dim // heads)))

    def forward(self, x: Tensor, positions: Tensor, present: Tensor | None = None) -> Tensor:
        """``positions``: ``relative_sinusoids``; keys where ``present`` ``(B, T)`` is False are not attended to."""
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        distance = self._split(self.distance(positions[None].to(x)))
        scale = query.shape[-1] ** -0.5
        bias = by_distance((query + self.distance_bias[:, None]) @ distance.transpose(-2, -1)) * scale
        if present is not None:
            bias = bias.masked_fill(~present[:, None, None], torch.finfo(bias.dtype).min)
        mixed = functional.scaled_dot_product_attention(
            query + self.content_bias[:, None],
            key,
            value,
            attn_mask=bias,
            dropout_p=self.dropout if self.training else 0.0,
        )
        attended: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return attended

    def _split(self, x: Tensor) -> Tensor:
        """``(B, T, C)`` → ``(B, heads, T, C / heads)``."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TimeConvolution(nn.Module):
    """Gated pointwise, depthwise, batch norm, swish, pointwise, over time: ``(B, T, C)`` → ``(B, T, C)``."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"a kernel of {kernel} steps has no middle; take an odd one")
        self.gate = nn.Conv1d(dim, 2 * dim, 1)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.BatchNorm1d(dim)
        self.out = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """``(B, T, C)`` → ``(B, T, C)``; steps not ``present`` ``(B, T)`` bring nothing to their neighbours."""
        gated = functional.glu(self.gate(x.transpose(1, 2)), dim=1)
        if present is not None:
            gated = gated * present[:, None]
        mixed: Tensor = self.out(functional.silu(self.norm(self.depthwise(gated))))
        return mixed.transpose(1, 2)


def feed_forward(dim: int, hidden: int, dropout: float) -> nn.Sequential:
    """Norm, linear, swish, linear."""
    return nn.Sequential(
        nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
    )


class ConformerBlock(nn.Module):
    """Half a feed-forward, attention, convolution, the other half, norm; each but the last on a residual path."""

    def __init__(self, dim: int, heads: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.before = feed_forward(dim, hidden, dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = RelativeAttention(dim, heads, dropout)
        self.convolution_norm = nn.LayerNorm(dim)
        self.convolution = TimeConvolution(dim, kernel)
        self.after = feed_forward(dim, hidden, dropout)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor, present: Tensor | None = None) -> Tensor:
        """``(B, T, C)`` → ``(B, T, C)``; ``positions`` and ``present`` as in ``RelativeAttention``."""
        x = x + 0.5 * self.dropout(self.before(x))
        x = x + self.dropout(self.attention(self.attention_norm(x), positions, present))
        x = x + self.dropout(self.convolution(self.convolution_norm(x), present))
        out: Tensor = self.norm(x + 0.5 * self.dropout(self.after(x)))
        return out


class Conformer(nn.Module):
    """Conformer over ``(B, T, width)`` → ``(B, T, dim)``.

    Args:
        width: of the inputs, brought to ``dim`` by a linear layer.
        dim, heads, hidden, blocks: width, attention heads, feed-forward's width, number of blocks.
        kernel: steps that the depthwise convolution sees, odd.
        dropout: everywhere.
    """

    def __init__(
        self,
        width: int,
        *,
        dim: int = 256,
        heads: int = 4,
        hidden: int = 2048,
        blocks: int = 12,
        kernel: int = 31,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(width, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ConformerBlock(dim, heads, hidden, kernel, dropout) for _ in range(blocks))

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """``present`` ``(B, T)`` bool: steps that count; the others are not looked at."""
        x = self.dropout(self.enter(x))
        positions = _positions(x.device, x.shape[1], x.shape[2])
        for block in self.blocks:
            x = block(x, positions, present)
        return x
