"""Weights and inputs that are pure functions of published names, so that parity needs no weight files.

The rule is that of the reference runs: NumPy's frozen legacy generator seeded by the CRC-32 of the name, matrices and
kernels scaled by their fan-in, norms near identity, running variances positive.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def _noise(name: str, shape: Sequence[int]) -> np.ndarray:
    generator = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
    return generator.standard_normal(tuple(shape) or (1,)).reshape(tuple(shape))


def tensor_for(name: str, shape: Sequence[int]) -> Tensor:
    """The tensor that a published checkpoint calls ``name``: float32 (int64 zero for batch counters)."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    noise = _noise(name, shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        value = 1.0 + 0.1 * np.abs(noise)
    elif len(shape) >= 2:
        value = noise / np.sqrt(max(1, int(np.prod(shape[1:]))))
    elif leaf == "weight":
        value = 1.0 + 0.1 * noise
    else:
        value = 0.1 * noise
    return torch.from_numpy(np.asarray(value.astype(np.float32)))


def state_for(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """A whole state dict from published names and shapes."""
    return {name: tensor_for(name, shape) for name, shape in shapes.items()}


def input_for(case: str, shape: Sequence[int]) -> Tensor:
    """Standard-normal float32 input of a case."""
    return torch.from_numpy(_noise(f"input:{case}", shape).astype(np.float32))
