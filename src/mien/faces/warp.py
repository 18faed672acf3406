"""Square pieces of a picture at any place, size and angle. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, floor, sin
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mien.faces.types import Floats, Image

Fill = Literal["edge", "black"]
_BILINEAR = Pillow.Resampling.BILINEAR  # Pillow widens the kernel when reducing, so nothing aliases


@dataclass(frozen=True)
class Square:
    """A square in a picture.

    Attributes:
        x, y: centre in pixels; pixel ``i`` covers ``[i, i + 1)``.
        side: length of a side in pixels.
        angle: radians; how far its upper edge is turned clockwise, as seen, from the picture's.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def corners(self) -> Floats:
        """float64 ``(4, 2)`` x, y: left top, right top, right bottom, left bottom as the square itself sees them."""
        along = np.array([cos(self.angle), sin(self.angle)]) * self.side / 2
        down = np.array([-along[1], along[0]])
        centre = np.array([self.x, self.y])
        return np.stack([centre - along - down, centre + along - down, centre + along + down, centre - along + down])

    def shares(self, points: Floats) -> Floats:
        """Places in the picture, ``(N, 2)`` x, y in pixels, as shares of the square: (0, 0) is its left top corner."""
        offset = (points - np.array([self.x, self.y])) / self.side
        along = np.array([cos(self.angle), sin(self.angle)])
        return np.stack([offset @ along, offset @ np.array([-along[1], along[0]])], axis=1) + 0.5


@dataclass(frozen=True)
class Patch:
    """Whole pixels of a picture that are stretched to a square, as the authors of some systems did.

    Attributes:
        left, top, right, bottom: pixel ``left`` is in it, pixel ``right`` is not. What lies outside the picture is left
            out.
        averaged: how pixels are joined where the patch is larger than the crop: all of them, or the four nearest.
    """

    left: int
    top: int
    right: int
    bottom: int
    averaged: bool

    def shares(self, points: Floats) -> Floats:
        """Places in the picture, ``(N, 2)`` x, y in pixels, as shares of the patch: (0, 0) is its left top corner."""
        corner, end = np.array([self.left, self.top]), np.array([self.right, self.bottom])
        return np.asarray((points - corner) / np.maximum(end - corner, 1))

    def stretched(self, image: Image, size: int) -> Image:
        """The patch as uint8 ``(size, size, 3)``; at least one pixel of the picture is taken."""
        height, width = image.shape[:2]
        left, top = min(max(self.left, 0), width - 1), min(max(self.top, 0), height - 1)
        right, bottom = max(min(self.right, width), left + 1), max(min(self.bottom, height), top + 1)
        part = np.ascontiguousarray(image[top:bottom, left:right])
        if self.averaged:
            return np.asarray(Pillow.fromarray(part).resize((size, size), _BILINEAR))
        if min(part.shape[:2]) < 2:  # nothing to go between
            part = part.repeat(2, axis=0).repeat(2, axis=1)
        corners = np.array([(0, 0), (part.shape[1], 0), part.shape[1::-1], (0, part.shape[0])], dtype=float)
        return _sampled(part, corners, size)


def cut(image: Image, square: Square, size: int, fill: Fill = "edge") -> Image:
    """What a square shows, as uint8 ``(size, size, 3)``; smooth when enlarged, averaged when reduced.

    What lies outside the picture repeats its border or is black. Only the pixels under the square are touched.
    """
    ratio = max(1, int(square.side / size / 2))  # first by whole blocks, which bounds the rest to 4 pixels for one
    part, origin = _part(image, square, ratio, fill)
    corners = (square.corners() - origin) / ratio
    if square.angle == 0.0:
        box = (*corners[0], *corners[2])
        return np.asarray(part.resize((size, size), _BILINEAR, box=box))
    per_pixel = square.side / ratio / size
    if per_pixel > 1:
        smaller = (max(1, round(part.width / per_pixel)), max(1, round(part.height / per_pixel)))
        corners = corners * (smaller[0] / part.width, smaller[1] / part.height)
        part = part.resize(smaller, _BILINEAR)
    return _sampled(np.asarray(part), corners, size)


def shrunk(images: NDArray[np.uint8], ratio: int) -> NDArray[np.uint8]:
    """Copy of pictures ``(N, H, W, 3)`` shrunk by a whole number, each pixel the mean of a block."""
    if ratio == 1:
        return images.copy()
    return np.stack([np.asarray(Pillow.fromarray(np.ascontiguousarray(image)).reduce(ratio)) for image in images])


def _sampled(pixels: Image, corners: Floats, size: int) -> Image:
    """Bilinear samples at the pixel centres of a turned square. (Pillow's transform rounds down.)"""
    along, down = (corners[1] - corners[0]) / size, (corners[3] - corners[0]) / size
    step = np.arange(size) + 0.5
    places = corners[0] - 0.5 + step[None, :, None] * along + step[:, None, None] * down
    x = places[..., 0].clip(0, pixels.shape[1] - 1.001)
    y = places[..., 1].clip(0, pixels.shape[0] - 1.001)
    column, row = x.astype(np.intp), y.astype(np.intp)
    right, low = (x - column)[..., None].astype(np.float32), (y - row)[..., None].astype(np.float32)
    flat, width = pixels.reshape(-1, 3), pixels.shape[1]
    corner = row * width + column
    upper = flat.take(corner, axis=0) * (1 - right) + flat.take(corner + 1, axis=0) * right
    lower = flat.take(corner + width, axis=0) * (1 - right) + flat.take(corner + width + 1, axis=0) * right
    mixed: Image = (upper * (1 - low) + lower * low + 0.5).astype(np.uint8)
    return mixed


def _part(image: Image, square: Square, ratio: int, fill: Fill) -> tuple[Pillow.Image, Floats]:
    """The picture under a square with a few pixels around, shrunk ``ratio`` times, and where its corner lay."""
    height, width = image.shape[:2]
    corners, border = square.corners(), 4 * ratio
    left, top = (floor(low) - border for low in corners.min(axis=0))
    right, bottom = (ceil(high) + border for high in corners.max(axis=0))
    x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    x1, y1 = max(min(right, width), x0 + 1), max(min(bottom, height), y0 + 1)
    inside = Pillow.fromarray(np.ascontiguousarray(image[y0:y1, x0:x1]))
    if ratio > 1:
        inside = inside.reduce(ratio)
    if (x0, y0, x1, y1) == (left, top, right, bottom):
        return inside, np.array([x0, y0], dtype=float)
    # Whole blocks to the left and above, so that the border starts on a block.
    before_x, before_y = -((left - x0) // ratio), -((top - y0) // ratio)
    columns = np.arange(ceil((right - x0) / ratio) + before_x) - before_x
    rows = np.arange(ceil((bottom - y0) / ratio) + before_y) - before_y
    pixels = np.asarray(inside)
    wide = pixels.take(columns.clip(0, inside.width - 1), axis=1).take(rows.clip(0, inside.height - 1), axis=0)
    if fill == "black":
        wide[:, (columns < 0) | (columns >= inside.width)] = 0
        wide[(rows < 0) | (rows >= inside.height)] = 0
    return Pillow.fromarray(wide), np.array([x0 - before_x * ratio, y0 - before_y * ratio], dtype=float)
