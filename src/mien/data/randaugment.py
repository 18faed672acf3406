"""RandAugment for clips: a few random picture operations, each with the same strength for every frame.

Cubuk et al., RandAugment, CVPR 2020, in the form of the published fine-tuning scripts (``rand-m7-n4-mstd0.5-inc1``):
operations are drawn with replacement from fifteen, each takes place with probability one half, and its magnitude
(0 ... 10) is drawn from a normal distribution. Pictures go through Pillow, whose arithmetic the scripts used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from mien.data.settings import RandAugment

TOP = 10.0  # largest magnitude
GREY = 128
PROBABILITY = 0.5

Picture = Image.Image


def rand_augment(frames: NDArray[np.uint8], settings: RandAugment, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Apply ``settings.operations`` random operations to uint8 RGB or grey frames ``(T, H, W, 3 or 1)``."""
    for _ in range(settings.operations):
        name = OPERATIONS[int(rng.integers(len(OPERATIONS)))]
        happens = rng.random() < PROBABILITY
        magnitude = float(np.clip(rng.normal(settings.magnitude, settings.deviation), 0.0, TOP))
        sign = 1.0 if rng.random() < 0.5 else -1.0
        if happens:
            frames = apply(name, frames, magnitude, sign)
    return frames


def apply(name: str, frames: NDArray[np.uint8], magnitude: float, sign: float) -> NDArray[np.uint8]:
    """One operation on all frames.

    Args:
        name: one of ``OPERATIONS``.
        frames: uint8 ``(T, H, W, 3 or 1)``.
        magnitude: 0 ... 10, see ``strength``.
        sign: 1 or -1; operations without a direction ignore it.
    """
    value = strength(name, magnitude, sign)
    change = _CHANGES[name]
    colours = frames.shape[-1]
    changed = [change(Image.fromarray(frame if colours == 3 else frame[..., 0]), value) for frame in frames]
    return np.stack([np.asarray(picture) for picture in changed]).reshape(frames.shape)


def strength(name: str, magnitude: float, sign: float) -> float:
    """What a magnitude means for an operation: degrees, bits, levels, a factor, a slope, a share of the side."""
    share = magnitude / TOP
    if name == "rotate":
        return sign * 30.0 * share
    if name == "posterize":
        return 4 - int(4 * share)
    if name == "solarize":
        return 256 - int(256 * share)
    if name == "solarize_add":
        return int(110 * share)
    if name in ("color", "contrast", "brightness", "sharpness"):
        return 1.0 + sign * 0.9 * share
    if name in ("shear_x", "shear_y"):
        return sign * 0.3 * share
    if name in ("translate_x", "translate_y"):
        return sign * 0.45 * share
    return 0.0


def _fill(picture: Picture) -> int | tuple[int, int, int]:
    return GREY if picture.mode == "L" else (GREY, GREY, GREY)


def _affine(picture: Picture, *matrix: float) -> Picture:
    return picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC, fillcolor=_fill(picture)
    )


def _table(picture: Picture, levels: NDArray[np.int64]) -> Picture:
    return picture.point(levels.clip(0, 255).tolist() * len(picture.getbands()))


LEVELS = np.arange(256)

_CHANGES: dict[str, Callable[[Picture, float], Picture]] = {
    "autocontrast": lambda picture, _: ImageOps.autocontrast(picture),
    "equalize": lambda picture, _: ImageOps.equalize(picture),
    "invert": lambda picture, _: ImageOps.invert(picture),
    "rotate": lambda picture, degrees: picture.rotate(
        degrees, resample=Image.Resampling.BICUBIC, fillcolor=_fill(picture)
    ),
    "posterize": lambda picture, bits: _table(picture, LEVELS & ~(2 ** (8 - int(bits)) - 1)),
    "solarize": lambda picture, level: _table(picture, np.where(level > LEVELS, LEVELS, 255 - LEVELS)),
    "solarize_add": lambda picture, added: _table(picture, np.where(LEVELS < GREY, LEVELS + int(added), LEVELS)),
    "color": lambda picture, factor: ImageEnhance.Color(picture).enhance(factor),
    "contrast": lambda picture, factor: ImageEnhance.Contrast(picture).enhance(factor),
    "brightness": lambda picture, factor: ImageEnhance.Brightness(picture).enhance(factor),
    "sharpness": lambda picture, factor: ImageEnhance.Sharpness(picture).enhance(factor),
    "shear_x": lambda picture, slope: _affine(picture, 1, slope, 0, 0, 1, 0),
    "shear_y": lambda picture, slope: _affine(picture, 1, 0, 0, slope, 1, 0),
    "translate_x": lambda picture, share: _affine(picture, 1, 0, share * picture.size[0], 0, 1, 0),
    "translate_y": lambda picture, share: _affine(picture, 1, 0, 0, 0, 1, share * picture.size[1]),
}
OPERATIONS = tuple(_CHANGES)
