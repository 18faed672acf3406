"""Parameter groups: which parameters are decayed, and layer-wise decay of the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


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
        ``lr_scale`` (and ``lr``).
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
