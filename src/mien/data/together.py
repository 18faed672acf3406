"""The last changes to all clips of a batch at once, for GPUs: a few kernels in the place of a dozen for every clip.

The arithmetic is that of ``mien.data.finish``, which goes clip by clip because a processor's caches like that better.
Results agree up to rounding. Nothing here waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mien.data.inputs import scales
from mien.media.picture import LUMA
from mien.models.specification import VideoInput
from mien.nn.device import sent_once


def finish_together(clips: Tensor, colours: Tensor, mirrored: Tensor, video: VideoInput, coloured: bool) -> Tensor:
    """Mirroring, colour, channels and normalisation.

    Args:
        clips: uint8 ``(B, 3 or 1, T, H, W)``, RGB or grey.
        colours: ``(B, 3)`` of ``finish.Colour``: own, luma, mean.
        mirrored: bool ``(B,)``.
        video: how the model takes it.
        coloured: any clip's colour changes.

    Returns:
        float32 ``(B, C, T, H, W)``.
    """
    luma, scale, shift = _constants(clips.device, video)
    values = torch.where(_wide(mirrored), clips.flip(-1), clips).float()
    if coloured:
        own, of_luma, of_mean = (_wide(part) for part in colours.float().unbind(1))
        light = _light(values, luma)
        middle = light.mean(dim=(2, 3, 4), keepdim=True)
        values = (values * own).addcmul_(light, of_luma).addcmul_(middle, of_mean).clamp_(0.0, 255.0)
    if video.channels == "grey":
        values = _light(values, luma)
    elif values.shape[1] == 1:
        values = values.expand(-1, 3, -1, -1, -1)
    if video.channels == "bgr":
        values = values.flip(1)
    if video.centre == "clip":
        return (values - values.mean(dim=2, keepdim=True)) * scale
    return torch.addcmul(-shift, values, scale)


def _light(values: Tensor, luma: Tensor) -> Tensor:
    """Luma ``(B, 1, T, H, W)``; grey is its own."""
    return values if values.shape[1] == 1 else (values * luma).sum(dim=1, keepdim=True)


def _wide(values: Tensor) -> Tensor:
    """``(B,)`` in a shape that meets ``(B, C, T, H, W)``."""
    return values.reshape(-1, 1, 1, 1, 1)


@sent_once
def _constants(video: VideoInput) -> tuple[Tensor, ...]:
    """Weights of the luma, factor and subtrahend of every channel ``(C, 1, 1, 1)``."""
    return torch.tensor(LUMA, dtype=torch.float32)[:, None, None, None], *scales(video, torch.device("cpu"))
