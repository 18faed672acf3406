"""Published names of the shared encoder and of DINO's head, both ways, for the cases of pretexts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mien.checkpoints.convert.base import get_converter
from mien.models import create_encoder
from mien.models.vaerr import FrameResNet
from mien.nn.initialise import SkipInitialisation
from mien.pretext.dino import DinoHead
from mien.pretext.views import ViewKind

CONVERTER = get_converter("vaerr")
VIEWS = ViewKind("views", ({}, {}))
# gradients that are zero but for rounding: biases right before batch norm
NOTHING = 1e-5


def load_head(head: DinoHead, published: Mapping[str, Tensor], prefix: str = "") -> None:
    """Fill a head, strictly, from published names."""
    layers = sum(isinstance(layer, nn.Linear) for layer in head.mlp)
    names = published_head({name: name for name in head.state_dict()}, prefix, layers)
    given = {name: value for name, value in published.items() if name.startswith(prefix)}
    head.load_state_dict({names.get(name, name): value for name, value in given.items()})


def load_encoder(encoder: FrameResNet, published: Mapping[str, Tensor], prefix: str = "") -> None:
    """Fill an encoder, strictly, through the converter."""
    own = (f"{prefix}frontend3D.", f"{prefix}trunk.")
    wanted = {name.removeprefix(prefix): value for name, value in published.items() if name.startswith(own)}
    plan = CONVERTER.plan_state(wanted, {})
    ours = CONVERTER.to_mien(wanted, plan)
    encoder.load_state_dict({name.removeprefix("encoder."): value for name, value in ours.items()})


def published_encoder(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Our encoder's tensors under the published names."""
    table = CONVERTER.renaming(CONVERTER.plan_arguments({}))
    return {prefix + table.to_published(f"encoder.{name}"): value for name, value in named.items()}


def published_head(named: Mapping[str, Any], prefix: str, layers: int) -> dict[str, Any]:
    """Our head's tensors under the published names."""
    ours = {"prototypes.scale": "last_layer.weight_g", "prototypes.direction": "last_layer.weight_v"}
    return {
        prefix + ours.get(name, name if layers > 1 else name.replace("mlp.0.", "mlp.")): value
        for name, value in named.items()
    }


def resnet(shapes: Mapping[str, Any], prefix: str = "") -> FrameResNet:
    """The encoder whose published tensors stand under a prefix."""
    own = (f"{prefix}frontend3D.", f"{prefix}trunk.")
    named = {name.removeprefix(prefix): torch.empty(shape) for name, shape in shapes.items() if name.startswith(own)}
    plan = CONVERTER.plan_state(named, {})
    with SkipInitialisation():
        encoder = create_encoder(plan.model, **plan.arguments)
    assert isinstance(encoder, FrameResNet)
    return encoder


def watch_outputs(module: nn.Module) -> list[Tensor]:
    seen: list[Tensor] = []
    module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    return seen
