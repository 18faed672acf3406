"""Disturbances of a clip: blur and solarisation of its pictures, holes, dropped frames, salt and pepper in its values.

What is drawn and what is done with it are apart: the functions here take places, ``disturb`` draws them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mien.data.settings import AugmentationSettings

WHITE = 255.0


def disturb(video: Tensor, settings: AugmentationSettings, rng: np.random.Generator) -> None:
    """Everything of this kind that the settings ask for, in place; ``video`` is normalised, so 0 is its mean grey."""
    height, width = video.shape[2:]
    if settings.holes:
        centres = [(int(rng.integers(height)), int(rng.integers(width))) for _ in range(settings.holes)]
        cut_holes(video, centres, max(2, round(settings.hole_side * min(height, width))))
    if settings.drop_frames:
        black_out(video, rng.random(video.shape[1]) < settings.drop_frames)
    if settings.salt_and_pepper:
        count = int(np.ceil(settings.salt_and_pepper * video[0].numel() / 2))
        places = rng.integers(0, np.array(video.shape[1:])[:, None], size=(2, 3, count))
        salt_and_pepper(video, places[0], places[1], float(video.max()), float(video.min()))


def cut_holes(video: Tensor, centres: Iterable[tuple[int, int]], side: int) -> None:
    """Zero square holes, the same in all frames (DeVries and Taylor 2017), in place.

    Args:
        video: ``(..., H, W)``.
        centres: y and x of every hole; what reaches beyond the picture is cut off.
        side: of the squares in pixels, made even.
    """
    half = side // 2
    for y, x in centres:
        video[..., max(y - half, 0) : y + half, max(x - half, 0) : x + half] = 0


def black_out(video: Tensor, frames: NDArray[np.bool_]) -> None:
    """Zero the frames of ``(..., T, H, W)`` at which ``frames`` is True, in place."""
    video[..., torch.from_numpy(frames), :, :] = 0


def salt_and_pepper(
    video: Tensor, salt: NDArray[np.int64], pepper: NDArray[np.int64], high: float = 1.0, low: float = 0.0
) -> None:
    """Set single pixels to ``high``, then others to ``low``, in all channels, in place.

    Args:
        video: ``(..., T, H, W)``.
        salt, pepper: ``(3, N)`` frame, row and column of every pixel.
    """
    for places, value in ((salt, high), (pepper, low)):
        frame, row, column = (torch.from_numpy(np.ascontiguousarray(part)) for part in places)
        video[..., frame, row, column] = value


def blurred(pictures: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of ``(T, C, H, W)`` by a kernel cut at two deviations; pixels at the border are repeated."""
    reach = max(1, round(2 * deviation))
    offsets = torch.arange(-reach, reach + 1, dtype=pictures.dtype)
    kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
    kernel = (kernel / kernel.sum())[None, None]
    rows = functional.pad(pictures.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
    rows = functional.conv2d(rows, kernel[..., None, :])
    return functional.conv2d(rows, kernel[..., None]).view_as(pictures)


def solarised(pictures: Tensor, share: float) -> Tensor:
    """Values in 0..255 from ``share`` of white on turned over, as light does on film (Pillow's ``solarize``)."""
    return torch.where(pictures >= share * WHITE, WHITE - pictures, pictures)


def centre_offset(size: int, cut: int) -> int:
    """Where a centred stretch of ``cut`` begins in ``size``: half of the rest, rounded down."""
    return (size - cut) // 2
