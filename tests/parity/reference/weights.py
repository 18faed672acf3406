"""Weights that a reference asks for by their published names, and the parts that all references share."""

from __future__ import annotations

import math

import numpy as np
import torch
from tests.parity.detweights import tensor_for
from torch import Tensor


class Weights:
    """Tensors in float64, made when a reference first asks for them: what it asks for is the published state.

    ``training`` lets batch norms take the statistics of their batch; ``moved`` are the running ones after that.
    """

    def __init__(self, training: bool = False) -> None:
        self.training = training
        self.made: dict[str, Tensor] = {}
        self.moved: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """The tensor of that name, the same one each time."""
        if name not in self.made:
            made = tensor_for(name, shape).double()
            self.made[name] = made.requires_grad_(not name.endswith(("running_mean", "running_var")))
        assert tuple(self.made[name].shape) == shape, name
        return self.made[name]

    @property
    def shapes(self) -> dict[str, list[int]]:
        """Names and shapes of what was asked for."""
        return {name: list(value.shape) for name, value in self.made.items()}

    @property
    def count(self) -> int:
        """Number of parameters; statistics of batch norms are none."""
        statistics = ("running_mean", "running_var", "num_batches_tracked")
        own = {id(value): value for name, value in self.made.items() if not name.endswith(statistics)}  # aliases once
        return sum(value.numel() for value in own.values())


def linear(w: Weights, name: str, x: Tensor, out: int, bias: bool = True) -> Tensor:
    """``x`` times a matrix stored as (out, in), plus a bias."""
    product = torch.einsum("...i,oi->...o", x, w(f"{name}.weight", out, x.shape[-1]))
    return product + w(f"{name}.bias", out) if bias else product


def layer_norm(w: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    """Zero mean and unit (biased) variance over the last axis, then an affine map."""
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)
    return scaled * w(f"{name}.weight", x.shape[-1]) + w(f"{name}.bias", x.shape[-1])


def batch_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    """Channels on axis 1, epsilon 1e-5; by running statistics, or in training by those of the batch, which then move
    the running ones by a tenth (the variance that is kept is unbiased)."""
    width = x.shape[1]
    shape = (1, width, *[1] * (x.ndim - 2))
    running = [w(f"{name}.running_{what}", width).detach() for what in ("mean", "var")]
    w.made[f"{name}.num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
    mean, variance = running
    if w.training:
        rows = x.transpose(0, 1).flatten(1)
        mean, variance = rows.mean(1), ((rows - rows.mean(1, keepdim=True)) ** 2).mean(1)
        unbiased = variance * rows.shape[1] / (rows.shape[1] - 1)
        for what, before, now in zip(("mean", "var"), running, (mean, unbiased), strict=True):
            w.moved[f"{name}.running_{what}"] = 0.9 * before + 0.1 * now.detach()
    scaled = (x - mean.reshape(shape)) / torch.sqrt(variance.reshape(shape) + 1e-5)
    return scaled * w(f"{name}.weight", width).reshape(shape) + w(f"{name}.bias", width).reshape(shape)


def gelu(x: Tensor) -> Tensor:
    """The exact form."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float | None = None) -> tuple[Tensor, Tensor]:
    """``(B, N, C)`` queries, ``(B, M, C)`` keys and values: heads are contiguous slices. Result and probabilities."""
    width = q.shape[-1] // heads
    results, probabilities = [], []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        scores = (q[..., own] * (scale or width**-0.5)) @ k[..., own].transpose(-1, -2)
        probabilities.append(torch.exp(scores) / torch.exp(scores).sum(-1, keepdim=True))
        results.append(probabilities[-1] @ v[..., head * (v.shape[-1] // heads) : (head + 1) * (v.shape[-1] // heads)])
    return torch.cat(results, -1), torch.stack(probabilities, 1)


def sines(count: int, width: int) -> Tensor:
    """Angles of the flat index, even channels by sine and odd ones by cosine; rounded to float32."""
    table = [
        [(math.sin, math.cos)[j % 2](p / 10000 ** (2 * (j // 2) / width)) for j in range(width)] for p in range(count)
    ]
    return torch.tensor(table, dtype=torch.float64).float().double()


def up_in_time(x: Tensor, factor: int) -> Tensor:
    """``(B, T, C)`` by linear interpolation, samples at the middle of their intervals: ``(B, T·factor, C)``."""
    steps = x.shape[1]
    rows = []
    for i in range(steps * factor):
        place = min(max((i + 0.5) / factor - 0.5, 0.0), steps - 1.0)
        low = int(place)
        high = min(low + 1, steps - 1)
        rows.append(x[:, low] * (1 - (place - low)) + x[:, high] * (place - low))
    return torch.stack(rows, 1)


def fingerprint(x: Tensor) -> dict[str, object]:
    """What the files hold of a tensor."""
    flat = x.detach().double().flatten()
    index = np.linspace(0, flat.numel() - 1, min(16, flat.numel())).round().astype(int).tolist()
    return {
        "shape": list(x.shape),
        "mean": flat.mean().item(),
        "std": flat.std(unbiased=False).item() if flat.numel() > 1 else 0.0,
        "index": index,
        "values": flat[index].tolist(),
    }
