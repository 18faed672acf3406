"""Losses on outputs with gaps: what is not labelled (NaN or -100) takes no part."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

UNLABELLED = -100
CCC_EPSILON = 1e-8


def cross_entropy(
    logits: Tensor, target: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Mean cross entropy over all that is labelled.

    Smoothing puts ``(1 - s) y + s / K`` in the place of the target y. It is linear in y, so smoothing mixed targets
    here equals mixing smoothed ones.

    Args:
        logits: ``(..., K)``.
        target: class ids ``(...)`` (-100: not labelled) or probabilities ``(..., K)`` (a row with NaN: not labelled).
        label_smoothing: s in 0..1.
        class_weights: ``(K,)``. With ids the mean is weighted by them; with probabilities every class's term is
            multiplied by its weight and the mean is plain.

    Returns:
        Scalar float32; 0 with zero gradient where nothing is labelled.
    """
    soft = target.is_floating_point()
    if target.shape != (logits.shape if soft else logits.shape[:-1]):
        raise ValueError(f"logits {tuple(logits.shape)} do not fit a target {tuple(target.shape)} of {target.dtype}")
    labelled = ~target.isnan().any(dim=-1) if soft else target != UNLABELLED
    # nothing is picked out by its value, so that no device has to be waited for
    kept = labelled.flatten()
    truth = torch.where(labelled[..., None], target, 0.0).float().flatten(0, -2) if soft else target.long().flatten()
    each = functional.cross_entropy(
        logits.float().flatten(0, -2),
        truth,
        weight=class_weights,
        ignore_index=UNLABELLED,
        reduction="none",
        label_smoothing=label_smoothing,
    )
    counts = kept.to(each) if soft or class_weights is None else class_weights[truth.clamp(min=0)] * kept
    return torch.where(kept, each, 0.0).sum() / torch.where(kept.any(), counts.sum(), 1.0)


def mean_squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    """Mean of ``(outputs - target)^2`` over the labelled elements; both ``(..., K)``, NaN in target is a gap."""
    labelled = ~target.isnan()
    error = torch.where(labelled, outputs.float() - target.float(), 0.0)
    return error.square().sum() / labelled.sum().clamp(min=1)


def concordance_loss(outputs: Tensor, target: Tensor) -> Tensor:
    """One minus the concordance correlation coefficient, averaged over the K values.

    All leading dimensions are taken together, as one long signal per value: with means m and population variances
    and covariance over the labelled elements, ``CCC = 2 cov / (var_x + var_y + (m_x - m_y)^2)`` (Lin 1989).
    The sum in the denominator carries 1e-8 and no root is taken, so value and gradient are finite in float32 for
    constant signals, for which the loss is 1.

    Args:
        outputs: ``(..., K)``.
        target: the same shape; NaN is a gap. A value with fewer than two labelled elements takes no part.

    Returns:
        Scalar float32 in 0..2; 0 with zero gradient where no value can be judged.
    """
    if target.shape != outputs.shape:
        raise ValueError(f"outputs {tuple(outputs.shape)} and target {tuple(target.shape)} must have the same shape")
    width = outputs.shape[-1]
    target = target.reshape(-1, width).float()
    labelled = ~target.isnan()
    truth = torch.where(labelled, target, 0.0)
    guess = torch.where(labelled, outputs.reshape(-1, width).float(), 0.0)
    count = labelled.sum(dim=0).clamp(min=1)
    mean_truth, mean_guess = truth.sum(dim=0) / count, guess.sum(dim=0) / count
    off_truth = torch.where(labelled, truth - mean_truth, 0.0)
    off_guess = torch.where(labelled, guess - mean_guess, 0.0)
    covariance = (off_truth * off_guess).sum(dim=0) / count
    spread = (off_truth.square().sum(dim=0) + off_guess.square().sum(dim=0)) / count
    concordance = 2 * covariance / (spread + (mean_truth - mean_guess).square() + CCC_EPSILON)
    judged = labelled.sum(dim=0) >= 2
    return torch.where(judged, 1.0 - concordance, 0.0).sum() / judged.sum().clamp(min=1)
