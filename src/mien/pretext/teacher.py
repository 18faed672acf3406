"""Teachers: slow copies of an encoder with its head, which give the targets that the quick one learns to meet."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien.models.contract import Encoder
from mien.pretext.tap import POOLED, tap


class Teacher(nn.Module):
    """A copy of encoder and head without gradients, whose weights follow theirs (``follow``).

    Batch norms use the statistics of their batch and keep running ones of their own, which are never averaged with
    the student's (as in the code of DINO and byol-pytorch); dropout and dropped paths are off. ``layer``: which of the
    encoder's features the head sees (``mien.pretext.tap``).
    """

    def __init__(self, encoder: Encoder, head: nn.Module, layer: str = POOLED) -> None:
        super().__init__()
        self.layer = layer
        self.encoder = copy.deepcopy(encoder)
        self.head = copy.deepcopy(head)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> Teacher:
        """As ``nn.Module.train``, for batch norms alone."""
        super().train(mode)
        for module in self.modules():
            module.training = mode and isinstance(module, _BatchNorm)
        return self

    @torch.no_grad()
    def forward(self, video: Tensor) -> Tensor:
        """Clips ``(B, C, T, H, W)`` → what the head makes of their features."""
        outputs: Tensor = self.head(tap(self.encoder, video, self.layer))
        return outputs

    @torch.no_grad()
    def follow(self, encoder: Encoder, head: nn.Module, momentum: float) -> None:
        """Every weight becomes ``momentum`` times itself plus the rest of the student's."""
        follow(self.parameters(), [*encoder.parameters(), *head.parameters()], momentum)


@torch.no_grad()
def follow(slow: Iterable[Tensor], quick: Iterable[Tensor], momentum: float) -> None:
    """``slow ← momentum · slow + (1 - momentum) · quick`` in place, tensor by tensor."""
    pairs = [(old, new.detach()) for old, new in zip(slow, quick, strict=True)]
    # all tensors at once: on a GPU hundreds of small kernels become a few
    torch._foreach_mul_([old for old, _ in pairs], momentum)
    torch._foreach_add_([old for old, _ in pairs], [new for _, new in pairs], alpha=1.0 - momentum)
