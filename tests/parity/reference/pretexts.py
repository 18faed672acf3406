"""BYOL's and DINO's parts by their specification."""

from __future__ import annotations

import math

import torch
from tests.parity.reference.weights import Weights, batch_norm, gelu, linear
from torch import Tensor


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def dino_head(
    w: Weights, x: Tensor, out: int, layers: int = 3, norms: bool = False, hidden: int = 2048, narrow: int = 256
) -> dict[str, Tensor]:
    """The MLP, its result of unit length, and the products with prototypes of the lengths ``weight_g``."""
    if layers == 1:
        x = linear(w, "mlp", x, narrow)
    index = 0
    for layer in range(layers if layers > 1 else 0):
        last = layer == layers - 1
        x = linear(w, f"mlp.{index}", x, narrow if last else hidden)
        if not last:
            x = gelu(batch_norm(w, f"mlp.{index + 1}", x) if norms else x)
        index += 3 if norms else 2
    direction, length = w("last_layer.weight_v", out, narrow), w("last_layer.weight_g", out, 1)
    rows = length * direction / direction.norm(dim=1, keepdim=True)
    return {"mlp": x, "l2_normalised": unit(x), "output": unit(x) @ rows.T}


def dino_loss(student: Tensor, teacher: Tensor, centre: Tensor, crops: int, temperature: float) -> Tensor:
    """Mean over pairs of one of the first two crops, as the teacher sees it, and another crop of the student."""
    clips = len(student) // crops
    total, pairs = torch.zeros(()).double(), 0
    for i in range(2):
        wanted = ((teacher[i * clips : (i + 1) * clips] - centre) / temperature).softmax(-1)
        for v in range(crops):
            if v == i:
                continue
            told = (student[v * clips : (v + 1) * clips] / 0.1).log_softmax(-1)
            total = total - (wanted * told).sum(-1).mean()
            pairs += 1
    return total / pairs


def ramp(begin: float, end: float, epochs: int, epoch: int) -> float:
    """Linear over so many epochs, both ends included, then constant."""
    if epochs == 0 or epoch >= epochs:
        return end
    return begin if epochs == 1 else begin + (end - begin) * epoch / (epochs - 1)


def half_cosine(begin: float, end: float, steps: int, warmup: int) -> list[float]:
    """Linear from 0 over the warm-up, both ends included, then half a cosine that does not reach its end."""
    rising = [begin * i / (warmup - 1) if warmup > 1 else 0.0 for i in range(warmup)]
    left = steps - warmup
    return rising + [end + 0.5 * (begin - end) * (1 + math.cos(math.pi * i / left)) for i in range(left)]
