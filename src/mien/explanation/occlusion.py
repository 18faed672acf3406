"""What the answer loses when something is hidden: a place, a part of the face, a moment, a modality."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import MienError
from mien.explanation.gradients import flat
from mien.explanation.score import Inputs, Score


@torch.no_grad()
def hide_places(score: Score, inputs: Inputs, masks: Sequence[Tensor] | Tensor) -> Tensor:
    """Answer minus the answer with the places of a mask hidden throughout the clip: ``(B, M)``.

    Args:
        score: what is explained.
        inputs: with ``video`` ``(B, C, T, H, W)``.
        masks: ``(H, W)`` each, or ``(B, 1, T, H, W)``; 1 where the picture is replaced by the clip's mean colour.
    """
    chosen, video = score.chosen(inputs), inputs["video"]
    whole, empty = score.read(inputs, chosen), flat(inputs["video"])
    lost = []
    for mask in masks:
        hidden = torch.lerp(video, empty, mask.to(video))
        lost.append(whole - score.read({**inputs, "video": hidden}, chosen))
    return torch.stack(lost, dim=1)


def hide_grid(score: Score, inputs: Inputs, cells: int) -> Tensor:
    """Answer minus the answer with one cell of a ``cells`` x ``cells`` grid hidden: ``(B, cells, cells)``."""
    video = inputs["video"]
    each = torch.eye(cells * cells, device=video.device).unflatten(1, (1, cells, cells))
    masks = F.interpolate(each, video.shape[-2:], mode="nearest")[:, 0]
    return hide_places(score, inputs, masks).unflatten(1, (cells, cells))


@torch.no_grad()
def hide_moments(score: Score, inputs: Inputs, parts: int, name: str = "video") -> Tensor:
    """Answer minus the answer with one of ``parts`` equal stretches of time hidden: ``(B, parts)``."""
    chosen, values = score.chosen(inputs), inputs[name]
    whole, empty = score.read(inputs, chosen), flat(values)
    along = 2 if values.ndim == 5 else 1
    steps = values.shape[along]
    lost = []
    for part in range(parts):
        first, last = part * steps // parts, max((part + 1) * steps // parts, part * steps // parts + 1)
        hidden = values.clone()
        hidden.narrow(along, first, last - first).copy_(empty.narrow(along, first, last - first))
        lost.append(whole - score.read({**inputs, name: hidden}, chosen))
    return torch.stack(lost, dim=1)


@torch.no_grad()
def hide_modalities(score: Score, inputs: Inputs) -> dict[str, Tensor]:
    """Answer minus the answer without each modality, ``(B,)`` by name; empty where there is only one."""
    modalities = score.model.encoder.modalities
    names = [name for name in modalities if name in inputs]
    if len(names) < 2:
        return {}
    chosen = score.chosen(inputs)
    whole = score.read(inputs, chosen)
    return {name: whole - score.read(without(inputs, name), chosen) for name in names}


def without(inputs: Inputs, name: str) -> dict[str, Tensor]:
    """Inputs that say that a modality is absent, and hold zeros in its place."""
    values = inputs[name]
    mask = inputs.get(f"{name}_present")
    if mask is None:
        mask = torch.ones(len(values), dtype=torch.bool, device=values.device)
    return {**inputs, name: torch.zeros_like(values), f"{name}_present": torch.zeros_like(mask)}


def heat(lost: Tensor) -> Tensor:
    """Losses as shares of their sum over all but the batch: gains (hiding helped) count as 0."""
    kept = lost.clamp_min(0)
    total = kept.flatten(1).sum(dim=1)
    if not torch.isfinite(total).all():
        raise MienError("the model gives values that are not finite; its weights are unusable")
    return kept / total.clamp_min(1e-12).reshape(-1, *[1] * (lost.ndim - 1))
