"""Which features of an encoder a projector sees."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.errors import UsageError
from mien.models.contract import Encoder
from mien.models.specification import VideoInput

POOLED, FRAMES = "pooled", "frames"


def tap(encoder: Encoder, video: Tensor, layer: str) -> Tensor:
    """Rows ``(N, D)`` that a layer gives of clips ``(B, C, T, H, W)``.

    Args:
        encoder: runs once.
        video: clips.
        layer: ``pooled``: a row per clip; ``frames``: the features of every frame, clip by clip; else the name of a
            module of the encoder, whose output is flattened behind its first dimension.

    Raises:
        UsageError: the encoder has no such layer.
    """
    if layer not in (POOLED, FRAMES):
        return _hooked(encoder, video, layer)
    features = encoder.forward_features({"video": video})
    if layer == POOLED:
        return features.pooled
    if features.frames is None:
        raise UsageError("pretext.options.layer=frames: this encoder gives one vector per clip; take pooled")
    return features.frames.flatten(0, 1)


@torch.no_grad()
def width(encoder: Encoder, layer: str, video: VideoInput) -> int:
    """Width D of a layer's rows; a module's is found by sending an empty clip through."""
    if layer in (POOLED, FRAMES):
        return encoder.feature_dim
    shape = (1, 1 if video.channels == "grey" else 3, video.frames or 1, video.size, video.size)
    training = encoder.training
    try:
        return tap(encoder.eval(), torch.zeros(shape), layer).shape[1]
    finally:
        encoder.train(training)


def _hooked(encoder: Encoder, video: Tensor, layer: str) -> Tensor:
    seen: list[Tensor] = []
    modules = dict(encoder.named_modules())
    if not layer or layer not in modules:
        parts = ", ".join(name for name in modules if name and name.count(".") < 2)
        raise UsageError(f"pretext.options.layer={layer!r} is not known; take pooled, frames, or a module: {parts}")
    handle = modules[layer].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        encoder.forward_features({"video": video})
    finally:
        handle.remove()
    if not seen or not isinstance(seen[-1], Tensor):
        raise UsageError(f"pretext.options.layer={layer!r} gives no tensor that a projector could see")
    return seen[-1].flatten(1)
