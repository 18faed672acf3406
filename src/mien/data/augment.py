"""Random changes to clips on tensors. Every choice is made once for a clip, so that time stays smooth.

Pictures stay bytes until they are cut, resized and mirrored: a quarter of the memory to move, and torch resizes bytes
several times as fast as floats. Brightness, contrast, saturation and grey together are one matrix and an offset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mien.data.boxes import Box, anchored_box, area_box, erase_box
from mien.data.disturbance import blurred, disturb
from mien.data.inputs import in_channels, normalise, sound_tensors, square, to_tensors, video_tensors
from mien.data.randaugment import rand_augment
from mien.data.seeding import Draws
from mien.data.settings import AugmentationSettings
from mien.media.clip import Clip
from mien.media.picture import LUMA
from mien.models.specification import Inputs


@dataclass(frozen=True)
class Colour:
    """A colour change: ``own`` times the pixel, plus ``luma`` times its luma, plus ``offset`` (on 0..255)."""

    own: float
    luma: float
    offset: float


@dataclass(frozen=True)
class Deterministic:
    """The transform of evaluation: what prediction does, nothing drawn."""

    inputs: Inputs

    def __call__(self, clip: Clip, rng: np.random.Generator) -> dict[str, Tensor]:
        return to_tensors(clip, self.inputs)


@dataclass(frozen=True)
class Augmented:
    """The transform of training: random crop, mirror, colour and erasing, then the model's own normalisation.

    Calling it gives the same keys and shapes as ``to_tensors``; equal generators give equal tensors.
    """

    inputs: Inputs
    settings: AugmentationSettings

    def __call__(self, clip: Clip, rng: np.random.Generator) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        if self.inputs.video is not None:
            tensors |= self._video(clip, rng) if len(clip.frames) else video_tensors(clip, self.inputs.video)
        if self.inputs.sound is not None:
            tensors |= sound_tensors(clip, self.inputs.sound)
        return tensors

    def _video(self, clip: Clip, rng: np.random.Generator) -> dict[str, Tensor]:
        video = self.inputs.video
        assert video is not None
        settings = self.settings
        whole = settings.crop == "area" and settings.crop_scale == (1.0, 1.0)
        frames = rand_augment(square(clip.frames) if whole else clip.frames, settings.rand, rng)
        if settings.rotate:
            frames = turn(frames, draw_angle(settings.rotate, rng))
        top, left, height, width = self._box(frames.shape[1], frames.shape[2], video.size, rng)
        frames = frames[:, top : top + height, left : left + width]
        flipped = rng.random() < settings.flip
        # Antialiasing is left out as in the published crops; random crops seldom shrink by much.
        pixels = torch.from_numpy(np.require(frames, requirements="W"))
        pictures = stretch(pixels.permute(0, 3, 1, 2), (video.size, video.size))
        planes = pictures.transpose(0, 1)
        values = (planes.flip(-1) if flipped else planes.contiguous()).to(torch.float32)
        colour = draw_colour(values, settings, rng)
        if colour is not None:
            values = recolour(values, colour)
        pictures = values.transpose(0, 1)
        if settings.blur and rng.random() < settings.blur:
            pictures = blurred(pictures, float(rng.uniform(*settings.blur_pixels)))
        values = normalise(in_channels(pictures, video.channels), video)
        if rng.random() < settings.erase:
            erase(values, settings, rng)
        disturb(values, settings, rng)
        present = torch.from_numpy(np.ascontiguousarray(clip.present))
        return {"video": values, "video_present": present}

    def _box(self, height: int, width: int, size: int, rng: np.random.Generator) -> Box:
        settings = self.settings
        if settings.crop == "anchored":
            return anchored_box(height, width, settings.crop_sizes, size, rng)
        return area_box(height, width, settings.crop_scale, settings.crop_ratio, rng)


def draw_angle(largest: int, rng: Draws) -> int:
    """Whole degrees from ``-largest`` to ``largest``, each as likely as the others."""
    return int(rng.integers(2 * largest + 1)) - largest


def turn(frames: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """uint8 ``(T, H, W, 1 or 3)`` turned anticlockwise around the middle by Pillow: bilinear, black outside."""
    grey = frames.shape[-1] == 1
    turned = [
        np.asarray(Image.fromarray(frame[..., 0] if grey else frame).rotate(degrees, Image.Resampling.BILINEAR))
        for frame in frames
    ]
    return np.stack(turned).reshape(frames.shape)


def stretch(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """``(T, C, H, W)``, float or uint8 → ``(T, C, *size)``, bilinear without antialiasing; untouched where it fits."""
    if pictures.shape[-2:] == size:
        return pictures
    return F.interpolate(pictures, size, mode="bilinear", align_corners=False)


def draw_colour(planes: Tensor, settings: AugmentationSettings, rng: np.random.Generator) -> Colour | None:
    """Colour change of a clip ``(3 or 1, T, H, W)``, RGB or grey in 0..255, or None where nothing changes.

    Brightness scales, contrast blends with the clip's mean luma (one for all frames, so that nothing flickers),
    saturation blends every pixel with its own luma.
    """
    strengths = (settings.brightness, settings.contrast, settings.saturation)
    brightness, contrast, saturation = (1.0 + strength * rng.uniform(-1.0, 1.0) for strength in strengths)
    if rng.random() < settings.grey:
        saturation = 0.0
    if brightness == contrast == saturation == 1.0:
        return None
    middle = float(_weights(planes) @ planes.mean(dim=(1, 2, 3)))
    scale = brightness * contrast
    return Colour(scale * saturation, scale * (1.0 - saturation), (1.0 - contrast) * brightness * middle)


def recolour(planes: Tensor, colour: Colour) -> Tensor:
    """Change the colour of float ``(3 or 1, T, H, W)``, RGB or grey in 0..255, clipped to that range."""
    channels = len(planes)
    matrix = colour.own * torch.eye(channels) + colour.luma * _weights(planes).expand(channels, -1)
    offset = torch.full((channels, 1), colour.offset)
    changed = torch.addmm(offset, matrix, planes.reshape(channels, -1)).clamp_(0.0, 255.0)
    return changed.view_as(planes)


def _weights(planes: Tensor) -> Tensor:
    """Share of each plane in the luma."""
    return torch.tensor(LUMA, dtype=torch.float32) if len(planes) == 3 else torch.ones(1)


def erase(video: Tensor, settings: AugmentationSettings, rng: np.random.Generator) -> None:
    """Fill one random box of ``(C, T, H, W)`` with standard normal noise, in place, fresh for every pixel and frame.

    Zhong et al., Random Erasing, AAAI 2020; the box is the same for all frames.
    """
    box = erase_box(video.shape[2], video.shape[3], settings.erase_scale, rng)
    if box is None:
        return
    top, left, height, width = box
    noise = torch.Generator().manual_seed(int(rng.integers(2**63 - 1)))
    area = video[:, :, top : top + height, left : left + width]
    area.copy_(torch.randn(area.shape, generator=noise))
