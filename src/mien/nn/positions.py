"""Positions of tokens: a fixed sinusoid table for any length, or a learned one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.errors import MienError


def sinusoid_table(count: int, dim: int) -> Tensor:
    """Fixed position encoding ``(count, dim)``, float32, computed in float64.

    ``angle(p, j) = p / 10000^(2·⌊j/2⌋/dim)``; even channels hold its sine, odd ones its cosine
    (Vaswani et al., 2017, over the flat token index).
    """
    channel = torch.arange(dim, dtype=torch.float64)
    angle = torch.arange(count, dtype=torch.float64)[:, None] / 10000.0 ** (2 * (channel // 2) / dim)
    table = torch.where(channel.long() % 2 == 0, angle.sin(), angle.cos())
    return table.float()


class SinusoidPositions(nn.Module):
    """The fixed table for up to ``count`` tokens; longer sequences extend it. Not part of the state dict."""

    table: Tensor

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoid_table(count, dim)[None], persistent=False)

    def forward(self, count: int) -> Tensor:
        """Encoding of tokens 0 … count - 1: ``(1, count, C)``."""
        if count > self.table.shape[1]:
            self.table = sinusoid_table(count, self.table.shape[2])[None].to(self.table)
        return self.table[:, :count]


class LearnedPositions(nn.Module):
    """One learned vector for each of exactly ``count`` tokens."""

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(nn.init.normal_(torch.empty(1, count, dim), std=0.02))

    def forward(self, count: int) -> Tensor:
        """The table ``(1, count, C)``; ``MienError`` for any other length than it was built for."""
        if count != self.table.shape[1]:
            raise MienError(
                f"{count} tokens do not fit learned positions for {self.table.shape[1]}; "
                "give clips of the size and length that the model was built for"
            )
        return self.table
