"""Values of a pretext that move while it trains."""

from __future__ import annotations

import math


def cosine(begin: float, end: float, step: int, total: int) -> float:
    """Half a cosine from ``begin`` at step 0 towards ``end``, which step ``total`` would reach."""
    return end + 0.5 * (begin - end) * (1.0 + math.cos(math.pi * step / total))


def warmed(begin: float, end: float, epoch: int, warmup: int) -> float:
    """Linear from ``begin`` to ``end`` over the first ``warmup`` epochs, both ends included, then ``end``."""
    if epoch >= warmup:
        return end
    return begin if warmup == 1 else begin + (end - begin) * epoch / (warmup - 1)
