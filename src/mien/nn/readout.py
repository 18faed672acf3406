"""From tokens to features: per clip and per frame."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mien.nn.patches import Size3


def mean_over_space(tokens: Tensor, grid: Size3) -> Tensor:
    """Raster tokens ``(B, t·h·w, C)`` → mean of every time slice ``(B, t, C)``."""
    return tokens.unflatten(1, (grid[0], grid[1] * grid[2])).mean(2)


def slices_to_frames(slices: Tensor, frames_per_slice: int) -> Tensor:
    """Features of time slices ``(B, t, C)`` → of frames ``(B, t·frames_per_slice, C)``, linear in time.

    Slices sit at the middle of their frames; before the first and after the last middle the nearest slice holds.
    """
    if frames_per_slice == 1:
        return slices
    return F.interpolate(slices.transpose(1, 2), scale_factor=frames_per_slice, mode="linear").transpose(1, 2)
