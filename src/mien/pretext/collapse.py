"""Signs of collapse: numbers that say whether features and targets still differ from clip to clip.

Each is between 0 and 1, and 0 means that all clips look the same to the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

# below these a run counts as collapsed; see tests/pretext/test_collapse.py for what healthy and collapsed runs have
LEAST_SPREAD = 0.02
LEAST_ENTROPY = 0.02


@torch.no_grad()
def spread(vectors: Tensor) -> Tensor:
    """Standard deviation of unit vectors over the batch, in units of the largest one possible: ``(N, D)`` → scalar.

    1 where the vectors point anywhere, 0 where all point the same way or are 0: ``sqrt(1 - |mean|²)`` of the unit
    vectors (Chen and He, arXiv 2011.10566, watch the same up to a factor).
    """
    unit = functional.normalize(vectors.float(), dim=-1)
    return (unit.square().sum(dim=-1).mean() - unit.mean(dim=0).square().sum()).clamp_min(0.0).sqrt()


@torch.no_grad()
def rank_entropy(vectors: Tensor) -> Tensor:
    """Entropy of the shares of variance along principal axes, over its maximum: ``(N, D)`` → scalar.

    1 where all directions that N vectors can take are used alike, 0 where one is or none (Roy and Vetterli,
    "The effective rank", EUSIPCO 2007).
    """
    mean = vectors.float().mean(dim=0)
    rows = vectors.float() - mean
    small = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    most = min(len(rows) - 1, rows.shape[1])
    if most < 2:
        return torch.zeros((), device=vectors.device)
    total = small.diagonal().sum()
    # below this it is rounding that differs, not the vectors
    differ = (total > 1e-10 * len(rows) * mean.square().sum()) & total.isfinite()
    shares = torch.where(differ, small / torch.where(differ, total, 1.0), 0.0)
    return torch.where(differ, entropy(torch.linalg.eigvalsh(shares).clamp_min(0.0)) / math.log(most), 0.0)


@torch.no_grad()
def information(probabilities: Tensor) -> Tensor:
    """What a target tells of its clip: ``(entropy of the mean target - mean entropy of targets) / log(rows or K)``.

    ``(N, K)`` → scalar. 0 both where all targets are uniform and where all have one and the same peak.
    """
    values = probabilities.float()
    if min(values.shape) < 2:
        return torch.zeros((), device=values.device)
    gained = entropy(values.mean(dim=0)) - entropy(values).mean()
    return gained.clamp_min(0.0) / math.log(min(values.shape))


def entropy(probabilities: Tensor) -> Tensor:
    """Shannon entropy in nats over the last dimension."""
    return torch.special.entr(probabilities).sum(dim=-1)


def verdict(values: Mapping[str, float], remedy: str) -> str | None:
    """One line about a run whose ``feature_std`` or ``target_entropy`` lately had these means; None if all is well."""
    for name, least, meaning in (
        ("feature_std", LEAST_SPREAD, "features hardly differ from clip to clip"),
        ("target_entropy", LEAST_ENTROPY, "targets say nothing of their clip"),
    ):
        if name in values and not values[name] >= least:
            return f"collapsed: {meaning} ({name} {values[name]:.3g}, healthy runs stay above {least:g}); {remedy}"
    return None
