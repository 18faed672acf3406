"""Sums over all processes that train together."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def summed(*values: Tensor) -> tuple[Tensor, ...]:
    """Tensors of one device added up over all processes, in one exchange, as the first one's type.

    Every process must call it. Where there is one process, they are given back as they are.
    """
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return values
    together = torch.cat([each.to(values[0]).flatten() for each in values])
    distributed.all_reduce(together)
    parts = together.split([each.numel() for each in values])
    return tuple(part.view_as(each) for part, each in zip(parts, values, strict=True))
