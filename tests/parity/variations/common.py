"""What the variations share: cases with numbers of references, masks and targets by the words of the specifications."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from tests.parity.collect import Case
from tests.parity.detweights import input_for
from tests.parity.reference.weights import Weights, fingerprint
from torch import Tensor

NOWHERE = Path("nowhere")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def some_slow(names: Iterable[str], slow: set[str]) -> list[ParameterSet]:
    """Parameters by name, the ``slow`` ones marked."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in names]


def case_of(system: str, name: str, w: Weights, **data: Any) -> Case:
    """A case in the files' form, its state what the reference asked for."""
    return Case(system, name, {"case": name, "state": w.shapes} | data, NOWHERE)


def clips(name: str, frames: int, side: int, count: int = 2) -> Tensor:
    return input_for(name, (count, 3, frames, side, side))


def gradient_norm(w: Weights) -> float:
    """Norm of all gradients together; aliases of one tensor count once."""
    own = {id(v): v.grad for v in w.made.values() if v.grad is not None}
    return float(torch.stack([grad.norm() for grad in own.values()]).norm())


def gradients(w: Weights) -> dict[str, Any]:
    return {
        "grad_norm": gradient_norm(w),
        "grads": {n: fingerprint(v.grad) for n, v in w.made.items() if v.grad is not None},
    }


def masks_of(
    kind: str, count: int, grid: tuple[int, int, int], ratio: float, window: tuple[int, int], seed: int = 0
) -> np.ndarray:
    """One legacy generator, one clip after the other: ones after zeros, shuffled, the same for every slice."""
    rng, drawn = np.random.RandomState(seed), []
    for _ in range(count):
        if kind == "tube":
            frame = np.zeros(grid[1] * grid[2])
            frame[len(frame) - int(ratio * len(frame)) :] = 1
            rng.shuffle(frame)
        else:
            size = window[0] * window[1]
            parts = []
            for _ in range(grid[1] // window[0]):
                part = np.zeros(size)
                part[size - int(ratio * size) :] = 1
                rng.shuffle(part)
                parts.append(part)
            frame = np.concatenate(parts)
        drawn.append(np.tile(frame, grid[0]))
    return np.stack(drawn).astype(bool)


def target(video: Tensor, normalised: bool, group: int | None = None) -> Tensor:
    """What the masked tubelets of 2x16x16 are to become, all of them: order frame, row, column, colour."""
    mean, std = (torch.tensor(x).double().view(1, 3, 1, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = video.double() * std + mean
    count, frames, side = len(video), video.shape[2], video.shape[3]
    made = torch.empty_like(pixels)
    for t in range(0, frames, 2):
        for y in range(0, side, 16):
            for x in range(0, side, 16):
                place = (slice(None), slice(None), slice(t, t + 2), slice(y, y + 16), slice(x, x + 16))
                values = pixels[place].flatten(2)
                if normalised:
                    values = values - values.mean(2, keepdim=True)
                    values = values / (values.pow(2).sum(2, keepdim=True).div(511).sqrt() + 1e-6)
                made[place] = values.reshape(count, 3, 2, 16, 16)
    if group:
        first = made.clone()
        for frame in range(frames):
            if frame % group:
                made[:, :, frame] = first[:, :, frame] - first[:, :, frame // group * group]
    rows = [
        made[:, :, t : t + 2, y : y + 16, x : x + 16].permute(0, 2, 3, 4, 1).flatten(1)
        for t in range(0, frames, 2)
        for y in range(0, side, 16)
        for x in range(0, side, 16)
    ]
    return torch.stack(rows, 1)
