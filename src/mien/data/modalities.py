"""Modalities of a batch, and how they are taken out of it: for whole clips or for spans of time, marked or not."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# Where time lies in a batch of each number of dimensions: video (B, C, T, H, W), features of sound (B, F, L).
_TIME = {5: 2, 3: 2, 2: 1}


def modalities_of(batch: Mapping[str, object]) -> tuple[str, ...]:
    """What a batch has a mask for, so that it can be told to be absent: ``video``, ``sound``, named streams."""
    return tuple(name.removesuffix("_present") for name in batch if name.endswith("_present"))


def steps_of(batch: Mapping[str, Tensor], name: str) -> int:
    """Steps over time of a modality."""
    return batch[name].shape[_axis(name, batch[name])]


def take_out(batch: Mapping[str, Tensor], name: str, gone: Tensor, marked: bool = True) -> dict[str, Tensor]:
    """The batch with steps of one modality set to zero.

    Args:
        batch: of the loader.
        name: the modality.
        gone: bool ``(B,)`` for whole clips, ``(B, T)`` for steps.
        marked: also say that they are not present; otherwise the zeros pass for what was seen or heard.
    """
    values, present = batch[name], batch[f"{name}_present"]
    steps = steps_of(batch, name)
    gone = gone.to(values.device, non_blocking=True).reshape(len(values), -1).expand(-1, steps)
    shape = [1] * values.ndim
    shape[0], shape[_axis(name, values)] = len(values), steps
    changed = {name: values.masked_fill(gone.reshape(shape), 0.0)}
    if marked:
        changed[f"{name}_present"] = present & ~gone
    return {**batch, **changed}


def span_steps(steps: int, low: Tensor, high: Tensor) -> Tensor:
    """Which of ``steps`` have their centre in the share ``[low, high)`` of the clip: bool ``(B, steps)``."""
    centres = (torch.arange(steps, device=low.device) + 0.5) / steps
    return (centres >= low[:, None]) & (centres < high[:, None])


def _axis(name: str, values: Tensor) -> int:
    """Axis of time; named streams ``(B, T, D)`` have it second, features of sound last."""
    return 1 if values.ndim == 3 and name not in ("sound", "video") else _TIME[values.ndim]
