"""How far a clip's features lie from those of training clips: the measure behind "out of distribution"."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.models.specification import Calibration
from mien.nn.device import sent_once

LEAST = 0.05  # of the median spread: features that hardly vary must not decide alone


def distance(features: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """Root mean square of standardised features: ``(B, D)`` → ``(B,)``; about 1 for clips like those of training.

    Args:
        features: pooled.
        mean, spread: of every feature over training clips, ``(D,)``; ``spread`` is held above ``LEAST`` of its median.
    """
    floor = LEAST * spread.median().clamp_min(1e-8)
    return ((features.float() - mean) / spread.clamp_min(floor)).square().mean(dim=-1).sqrt()


@sent_once
def _usual(mean: tuple[float, ...], spread: tuple[float, ...]) -> tuple[Tensor, ...]:
    return torch.tensor(mean), torch.tensor(spread)


def unfamiliarity(features: Tensor, calibration: Calibration) -> Tensor:
    """``distance`` from what a bundle's calibration knows, in units of its limit: above 1 is out of distribution."""
    assert calibration.limit is not None
    mean, spread = _usual(features.device, calibration.mean, calibration.spread)
    return distance(features, mean, spread) / calibration.limit
