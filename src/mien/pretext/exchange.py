"""Sums over all processes that train together."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def summed(values: Tensor, count: float) -> tuple[Tensor, float]:
    """``values`` and ``count`` added up over all processes; every process must call it."""
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return values, count
    both = torch.cat((values.flatten(), values.new_tensor([count])))
    distributed.all_reduce(both)
    return both[:-1].view_as(values), float(both[-1])
