"""Random changes to clips on tensors. Every choice is made once for a clip, so that time stays smooth.

Pictures stay bytes until they are cut, resized and mirrored: a quarter of the memory to move, and torch resizes bytes
several times as fast as floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from mien.data.boxes import Box, anchored_box, area_box
from mien.data.disturbance import blurred, disturb, solarised
from mien.data.finish import Left, draw_colour, draw_hole, fill, recolour
from mien.data.inputs import in_channels, normalise, sound_tensors, square, to_tensors, video_tensors
from mien.data.randaugment import rand_augment
from mien.data.seeding import Draws
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

    Attributes:
        inputs: what the model takes.
        settings: what is changed.
        later: leave what makes floats of bytes to ``mien.data.finish.finish``, on the whole batch and on the device
            that trains: a quarter of the memory to move. The values are the same.
    """

    inputs: Inputs
    settings: AugmentationSettings
    later: bool = False

    def __call__(self, clip: Clip, rng: np.random.Generator) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        if self.inputs.video is not None:
            tensors |= self._video(clip, rng) if len(clip.frames) else self._absent(clip)
        if self.inputs.sound is not None:
            tensors |= sound_tensors(clip, self.inputs.sound)
        return tensors

    def _video(self, clip: Clip, rng: np.random.Generator) -> dict[str, Tensor]:
        video, settings = self.inputs.video, self.settings
        assert video is not None
        planes, mirrored = self._planes(clip, video.size, rng)
        present = {"video_present": torch.from_numpy(np.ascontiguousarray(clip.present))}
        colour = draw_colour(settings, rng)
        if self._postpones:
            left = Left(mirrored, colour, draw_hole(video.size, settings, rng))
            return {"video": planes, **left.tensors(), **present}
        planes = planes.contiguous()
        values = (planes.flip(-1) if mirrored else planes).to(torch.float32)
        if colour is not None:
            values = recolour(values, colour)
        pictures = values.transpose(0, 1)
        if settings.blur and rng.random() < settings.blur:
            pictures = blurred(pictures, float(rng.uniform(*settings.blur_pixels)))
        if settings.solarise and rng.random() < settings.solarise:
            pictures = solarised(pictures, settings.solarise_from)
        values = normalise(in_channels(pictures, video.channels), video)
        fill(values, draw_hole(video.size, settings, rng))
        disturb(values, settings, rng)
        return {"video": values, **present}

    @property
    def _postpones(self) -> bool:
        """True where nothing is to come between colour and erasing, or after them, that needs floats."""
        settings = self.settings
        drawn = settings.blur or settings.holes or settings.drop_frames or settings.salt_and_pepper or settings.solarise
        return self.later and not drawn

    def _absent(self, clip: Clip) -> dict[str, Tensor]:
        video = self.inputs.video
        assert video is not None
        tensors = video_tensors(clip, video)
        if self._postpones:
            shape = (3, *tensors["video"].shape[1:])
            tensors |= {"video": torch.zeros(shape, dtype=torch.uint8), **Left(shown=False).tensors()}
        return tensors

    def _planes(self, clip: Clip, size: int, rng: np.random.Generator) -> tuple[Tensor, bool]:
        """Turned, cut and resized: uint8 ``(C, T, size, size)``; and whether it is to be mirrored."""
        settings = self.settings
        whole = settings.crop == "area" and settings.crop_scale == (1.0, 1.0)
        frames = rand_augment(square(clip.frames) if whole else clip.frames, settings.rand, rng)
        if settings.rotate:
            frames = turn(frames, draw_angle(settings.rotate, rng))
        top, left, height, width = self._box(frames.shape[1], frames.shape[2], size, rng)
        frames = frames[:, top : top + height, left : left + width]
        mirrored = bool(rng.random() < settings.flip)
        pixels = torch.from_numpy(np.require(frames, requirements="W"))
        return stretch(pixels.permute(0, 3, 1, 2), (size, size)).transpose(0, 1), mirrored

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
    """``(T, C, H, W)``, float or uint8 → ``(T, C, *size)``, bilinear; untouched where it fits.

    Antialiasing is left out as in the published crops, up to halving, where bilinear weights still reach every pixel.
    Beyond, pixels would be passed over, and training would see other pictures than evaluation, which antialiases.
    """
    height, width = pictures.shape[-2:]
    if (height, width) == size:
        return pictures
    much = height > 2 * size[0] or width > 2 * size[1]
    return F.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=much)
