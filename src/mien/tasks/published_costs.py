"""The cost-sensitive cross entropy of SS-VAERR as its published code computes it, faults included.

The cost of a frame is one plus the distance between the numbers of two k-means clusters, that of its one-hot truth and
that of its probabilities. A cluster that loses all its rows becomes NaN and never wins again, so that after a few
batches every cost is 1; numbers of clusters have no order anyhow. The norms of all parameters are added, unsquared.
It is here to repeat published training; ``mien.tasks.binned_losses.ncce`` is what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import MienError
from mien.tasks.binned_losses import Told

NORM_WEIGHT = 0.01


class PublishedCosts:
    """The term of one training run; centroids are carried from batch to batch, for each output on its own.

    Args:
        parameters: gives all parameters of the trained model, whose norms are added.
    """

    def __init__(self, parameters: Callable[[], Iterable[nn.Parameter]]) -> None:
        self._parameters = parameters
        self.centroids: dict[str, Tensor] = {}

    def __call__(self, name: str, told: Told) -> Tensor:
        """The term of one output; ``MienError`` where the first batch has fewer frames than bins."""
        cost = self.cost(name, told)
        entropy = functional.cross_entropy(told.probabilities, told.bins)
        norms = sum((parameter.norm() for parameter in self._parameters()), torch.zeros(()))
        return (cost * entropy).mean() + NORM_WEIGHT * norms.to(cost.device)

    @torch.no_grad()
    def cost(self, name: str, told: Told) -> Tensor:
        """``(N,)`` float32, 1 or more; moves the centroids."""
        flags, probabilities = told.flags.float(), told.probabilities.float()
        bins = flags.shape[-1]
        if name not in self.centroids:
            if len(flags) < bins:
                raise MienError(
                    f"published costs need {bins} frames in the first batch, it has {len(flags)}; use longer clips"
                )
            self.centroids[name] = flags[:bins].clone()
        truth, self.centroids[name] = lloyd(flags, self.centroids[name])
        guess, self.centroids[name] = lloyd(probabilities, self.centroids[name])
        return 1.0 + (truth - guess).abs().float()


def lloyd(rows: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Clusters ``(N,)`` of rows ``(N, D)`` and the moved centroids ``(K, D)``; empty clusters become NaN for good.

    One step of Lloyd's algorithm: the published loop runs five times, but clusters and centroids recorded from it are
    those of its first step. The nearest centroid is the lowest number among equals, and NaN never wins.
    """
    distance = (rows[:, None] - centroids[None]).square().sum(dim=-1)
    labels = distance.nan_to_num(nan=torch.inf, posinf=torch.inf).argmin(dim=1)
    sums = torch.zeros_like(centroids).index_add_(0, labels, rows)
    return labels, sums / torch.bincount(labels, minlength=len(centroids)).to(rows)[:, None]
