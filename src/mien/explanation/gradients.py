"""Integrated gradients (Sundararajan, Taly and Yan 2017, arXiv 1703.01365), for any encoder."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.explanation.score import Inputs, Score

STEPS = 12  # points of the path, in the middle of equal parts


def integrated_gradients(score: Score, inputs: Inputs, name: str = "video", steps: int = STEPS) -> Tensor:
    """What every value of one modality adds to the raw answer, against the modality's mean: its own shape, signed.

    The sum over a clip is the difference of the raw answer to that of a clip of one value per colour (or feature).

    Args:
        score: what is explained.
        inputs: of the model.
        name: modality; ``(B, C, T, H, W)`` or ``(B, T, D)``.
        steps: points of the path.
    """
    chosen = score.chosen(inputs)
    values = inputs[name].detach()
    start = flat(values)
    total = torch.zeros_like(values)
    for step in range(steps):
        point = (start + (values - start) * ((step + 0.5) / steps)).requires_grad_()
        with torch.enable_grad():
            answer = score.raw({**inputs, name: point}, chosen).sum()
            (gradient,) = torch.autograd.grad(answer, point)
        total += gradient
    return (values - start) * total / steps


def flat(values: Tensor) -> Tensor:
    """The same shape with the clip's mean per colour (or per feature) everywhere: nothing is left to see."""
    kept = {5: (2, 3, 4), 3: (1,)}.get(values.ndim, tuple(range(1, values.ndim)))
    return values.mean(dim=kept, keepdim=True).expand_as(values)
