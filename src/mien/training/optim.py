"""Parameter groups: which parameters are decayed, and layer-wise decay of the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mien.training.lars import LARS
from mien.training.schema import Optimiser


def make_optimiser(groups: list[dict[str, Any]], settings: Optimiser) -> torch.optim.Optimizer:
    """The optimiser that a recipe asks for, over groups of ``parameter_groups``."""
    if settings.kind == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, dampening=settings.dampening)
    if settings.kind == "lars":
        return LARS(groups, lr=settings.lr, momentum=settings.momentum)
    # fused: each weight is read and written once in a step, not once for each of seven operations
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps, fused=True)


def clip_gradients(parameters: Iterable[nn.Parameter], settings: Optimiser) -> Tensor:
    """Bound gradients in place as the recipe says; returns the norm of all of them together before that, a scalar on
    their device, so that nothing waits for it here.

    ``clip_scope: tensor`` is the clipping of DINO's code: every tensor longer than ``clip`` is shortened to it.
    """
    kept = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in kept if parameter.grad is not None]
    if settings.clip is None:
        return nn.utils.get_total_norm(gradients)
    if settings.clip_scope == "all":
        return nn.utils.clip_grad_norm_(kept, settings.clip)
    norms = [gradient.norm() for gradient in gradients]
    for gradient, norm in zip(gradients, norms, strict=True):
        gradient.mul_((settings.clip / (norm + 1e-6)).clamp(max=1.0))
    return nn.utils.get_total_norm(norms)


def parameter_groups(
    model: nn.Module,
    weight_decay: float,
    layer_decay: float | None = None,
    lr: float | None = None,
    decay_all: bool = False,
) -> list[dict[str, Any]]:
    """Groups for an optimiser, as the published fine-tuning and pretraining scripts make them.

    One-dimensional parameters, biases and those of ``model.no_weight_decay()`` are not decayed. With ``layer_decay``
    a parameter of layer i learns at ``layer_decay ** (last - i)`` of the scheduled rate, where i is
    ``model.layer_of(name)`` and ``last`` the layer of the head. Frozen parameters are left out.

    Args:
        model: a ``Recogniser``, an ``Encoder`` or a pretext; layer-wise decay needs ``layer_of``.
        weight_decay: of the parameters that are decayed.
        layer_decay: factor per layer, or None for one rate everywhere.
        lr: scheduled rate to begin with; each group then gets ``lr`` times its scale.
        decay_all: decay every parameter, whatever its shape.

    Returns:
        Groups in order of their first parameter, each with ``params``, ``names``, ``name``, ``weight_decay``,
        ``decayed``, ``lr_scale`` (and ``lr``).
    """
    undecayed: Callable[[], set[str]] = getattr(model, "no_weight_decay", set)
    never = undecayed()
    last = _last_layer(model) if layer_decay is not None else 0
    layer_of: Callable[[str], int] = getattr(model, "layer_of", lambda name: 0)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decayed = decay_all or (parameter.ndim > 1 and not name.endswith(".bias") and name not in never)
        label, scale = "decay" if decayed else "no_decay", 1.0
        if layer_decay is not None:
            layer = layer_of(name)
            label, scale = f"layer_{layer}_{label}", layer_decay ** (last - layer)
        group = groups.setdefault(
            label,
            {
                "params": [],
                "names": [],
                "name": label,
                "weight_decay": weight_decay if decayed else 0.0,
                "decayed": decayed,
                "lr_scale": scale,
                **({} if lr is None else {"lr": lr * scale}),
            },
        )
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def _last_layer(model: nn.Module) -> int:
    """Layer of the head: one more than the blocks."""
    encoder: Any = getattr(model, "encoder", model)
    return int(encoder.depth) + 1
