"""Random changes to clips on tensors. Every choice is made once for a clip, so that time stays smooth.

Colour changes are affine in the pixel, so brightness, contrast, saturation and grey become one 3x4 matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mien.data.boxes import Box, anchored_box, area_box, erase_box
from mien.data.disturbance import disturb
from mien.data.inputs import LUMA, normalise, sound_tensors, square, to_channels, to_tensors, video_tensors
from mien.data.randaugment import rand_augment
from mien.data.settings import AugmentationSettings
from mien.media.clip import Clip
from mien.models.specification import Inputs


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
        top, left, height, width = self._box(frames.shape[1], frames.shape[2], video.size, rng)
        frames = frames[:, top : top + height, left : left + width]
        if rng.random() < settings.flip:
            frames = frames[:, :, ::-1]
        matrix = colour_matrix(frames, settings, rng)
        # Antialiasing costs half of the loader's time here and random crops seldom shrink by much.
        pictures = to_channels(frames, video.channels)
        pictures = stretch(pictures, (video.size, video.size))
        if matrix is not None:
            pictures = recolour(pictures, matrix, video.channels)
        values = normalise(pictures, video)
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


def stretch(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Float ``(T, C, H, W)`` → ``(T, C, *size)``, bilinear without antialiasing; untouched where it fits."""
    if pictures.shape[-2:] == size:
        return pictures
    return F.interpolate(pictures, size, mode="bilinear", align_corners=False)


def colour_matrix(
    frames: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """RGB colour change ``(3, 4)``: linear part and offset on 0..255, or None where nothing changes.

    Brightness scales, contrast blends with the clip's mean luma (one for all frames, so that nothing flickers),
    saturation blends every pixel with its own luma.
    """
    strengths = (settings.brightness, settings.contrast, settings.saturation)
    brightness, contrast, saturation = (1.0 + strength * rng.uniform(-1.0, 1.0) for strength in strengths)
    if rng.random() < settings.grey:
        saturation = 0.0
    if brightness == contrast == saturation == 1.0:
        return None
    luma = np.asarray(LUMA)
    mean = frames.reshape(-1, frames.shape[-1]).mean(axis=0)
    middle = float(luma @ np.broadcast_to(mean, 3)) * brightness
    linear = saturation * np.eye(3) + (1.0 - saturation) * np.outer(np.ones(3), luma)
    offset = np.full(3, (1.0 - contrast) * middle)
    return np.column_stack([brightness * contrast * linear, offset])


def recolour(pictures: Tensor, matrix: NDArray[np.float64], channels: str) -> Tensor:
    """Apply an RGB colour matrix to float ``(T, C, H, W)`` in the model's channels; clipped to 0..255."""
    if channels == "grey":
        scale, offset = float(np.asarray(LUMA) @ matrix[:, :3].sum(axis=1)), float(matrix[0, 3])
        return pictures.mul(scale).add_(offset).clamp_(0.0, 255.0)
    if channels == "bgr":
        matrix = matrix[::-1, [2, 1, 0, 3]]
    linear = torch.tensor(np.ascontiguousarray(matrix[:, :3]), dtype=torch.float32)
    offset_ = torch.tensor(np.ascontiguousarray(matrix[:, 3]), dtype=torch.float32)[None, :, None]
    changed = torch.matmul(linear, pictures.flatten(2)).add_(offset_).clamp_(0.0, 255.0)
    return changed.view_as(pictures)


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
