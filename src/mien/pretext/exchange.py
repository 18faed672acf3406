"""Sums over all processes that train together."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def summed(values: Tensor, count: Tensor | float) -> tuple[Tensor, Tensor | float]:
    """``values`` and ``count`` added up over all processes, on their device; every process must call it."""
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return values, count
    number = count.to(values) if isinstance(count, Tensor) else values.new_full((), count)
    both = torch.cat((values.flatten(), number[None]))
    distributed.all_reduce(both)
    return both[:-1].view_as(values), both[-1]
