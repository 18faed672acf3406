"""Stochastic depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Drops a whole residual branch per entry of the first axis while training; survivors are scaled to keep the mean.

    Source: Huang et al., Deep Networks with Stochastic Depth, 2016.

    Args:
        rate: probability in 0..1 (excluded) that an entry is dropped.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"drop path rate {rate} is not in 0..1 (excluded)")
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Any shape; the first axis is drawn independently."""
        if not self.training or self.rate == 0.0:
            return branch
        keep = 1.0 - self.rate
        survives = torch.rand((branch.shape[0],) + (1,) * (branch.ndim - 1), device=branch.device) < keep
        return branch * (survives.to(branch.dtype) / keep)

    def extra_repr(self) -> str:
        """Shown by ``print``."""
        return f"rate={self.rate:g}"


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Rates that rise linearly from 0 (first block) to ``rate`` (last of ``depth`` blocks)."""
    return [rate * block / max(1, depth - 1) for block in range(depth)]
