"""Blocks that keep little between the forward and the backward pass, and compute the rest anew in between.

Chen, Xu, Zhang, Guestrin: Training Deep Nets with Sublinear Memory Cost, 2016 (arXiv 1604.06174), block by block. What
a block draws (dropout, dropped paths) is drawn again alike, so losses and gradients are the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Forward = Callable[..., Tensor]


class Recomputable(nn.Module):
    """A block whose ``recomputable`` methods may keep only what they were given.

    It must not change in a forward pass: one that counts (batch statistics) would count twice.

    Attributes:
        recompute: whether they do.
    """

    recompute: bool = False


def recomputable(method: Forward) -> Forward:
    """For methods of a ``Recomputable`` that take tensors and give one."""

    @wraps(method)
    def forward(self: Any, *given: Any) -> Tensor:
        if not self.recompute or not torch.is_grad_enabled():
            return method(self, *given)
        made: Tensor = checkpoint(partial(method, self), *given, use_reentrant=False)
        return made

    return forward


def recompute(module: nn.Module, wanted: bool = True) -> int:
    """Let all blocks in ``module`` compute anew what the backward pass needs, or keep it; returns their number."""
    blocks = [block for block in module.modules() if isinstance(block, Recomputable)]
    for block in blocks:
        block.recompute = wanted
    return len(blocks)
