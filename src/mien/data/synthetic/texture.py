"""What lies on the head and does not move with expressions: skin, hair line, beard, and the static relief."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.ndimage import gaussian_filter

from mien.data.synthetic.identity import Array, Identity

TEXELS = 256  # side of a map
REACH = 1.12  # maps cover -REACH..REACH in both face coordinates


@dataclass(frozen=True)
class Maps:
    """Maps over face coordinates, row = y.

    Attributes:
        albedo: ``(3, N, N)`` colour under white light.
        relief: ``(N, N)`` height over the head's ellipsoid, in radii.
        slope: ``(2, N, N)`` gradient of the relief along x and y.
    """

    albedo: Array
    relief: Array
    slope: Array


def _grid() -> tuple[Array, Array]:
    axis = np.linspace(-REACH, REACH, TEXELS, dtype=np.float32)
    return cast(Array, np.broadcast_to(axis, (TEXELS, TEXELS))), cast(
        Array, np.broadcast_to(axis[:, None], (TEXELS, TEXELS))
    )


def _blob(x: Array, y: Array, centre: tuple[float, float], size: tuple[float, float]) -> Array:
    """A Gaussian bump of height 1."""
    return cast(Array, np.exp(-(((x - centre[0]) / size[0]) ** 2) - ((y - centre[1]) / size[1]) ** 2))


def _pair(x: Array, y: Array, centre: tuple[float, float], size: tuple[float, float]) -> Array:
    """The same bump left and right of the middle."""
    return _blob(np.abs(x), y, centre, size)


def _nose(face: Identity, x: Array, y: Array) -> Array:
    """Bridge, tip and wings. The bridge rises from between the eyes to the tip and falls off below it."""
    top, tip = face.eye_y - 0.02, face.nose_y
    along = np.clip((y - top) / (tip - top), 0.0, 1.0)
    below = np.clip((y - tip) / 0.075, 0.0, 1.0)
    ridge = face.nose_depth * (0.22 + 0.78 * along) * np.where(y < top, np.exp(-(((y - top) / 0.12) ** 2)), 1.0)
    ridge = ridge * (1.0 - below * below * (3.0 - 2.0 * below))
    half = 0.07 + (face.nose_width * 0.55 - 0.05) * along
    bridge = ridge * np.exp(-((x / half) ** 2))
    wings = 0.45 * face.nose_depth * _pair(x, y, (face.nose_width * 0.72, tip + 0.015), (0.055, 0.05))
    return cast(Array, bridge + wings)


def _relief(face: Identity) -> Array:
    x, y = _grid()
    height = _nose(face, x, y)
    height = height - 0.055 * _pair(x, y, (face.eye_x, face.eye_y), (0.22, 0.11))
    height += 0.035 * _pair(x, y, (face.eye_x, face.eye_y - face.brow_rise * 0.8), (0.26, 0.06))
    height += 0.045 * _pair(x, y, (0.52, 0.2), (0.2, 0.16))
    height += 0.04 * _blob(x, y, (0.0, face.mouth_y), (face.mouth_width, 0.11))
    height += 0.07 * _blob(x, y, (0.0, 0.88), (0.18, 0.1))
    height -= 0.035 * _blob(x, y, (0.0, face.mouth_y + 0.15), (0.2, 0.05))
    height -= 0.012 * _blob(x, y, (0.0, (face.nose_y + face.mouth_y) / 2 + 0.03), (0.03, 0.08))
    return cast(Array, gaussian_filter(height.astype(np.float32), 1.2))


def _skin(face: Identity, noise: Array) -> Array:
    """Skin with blotches, flushed cheeks and nose, dark sockets, freckles and beard."""
    x, y = _grid()
    tone = 1.0 + 0.05 * noise[0] + 0.03 * noise[1]
    albedo = face.skin[:, None, None] * tone
    flush = 0.5 * _pair(x, y, (0.5, 0.28), (0.2, 0.15)) + 0.35 * _blob(x, y, (0, face.nose_y), (0.14, 0.1))
    albedo = albedo * (1.0 - flush * np.array([0.02, 0.16, 0.14], np.float32)[:, None, None])
    socket = _pair(x, y, (face.eye_x, face.eye_y + 0.07), (0.2, 0.08)) * (0.10 + 0.18 * face.age)
    albedo *= 1.0 - socket
    spots = np.clip(noise[2] - 1.6, 0.0, 1.0) * face.freckles * np.exp(-(((y - 0.15) / 0.3) ** 2))
    albedo *= 1.0 - 0.5 * spots
    if face.beard > 0:
        chin = 1.0 / (1.0 + np.exp(-(y - 0.45 - 0.35 * np.exp(-((x / 0.45) ** 2))) / 0.05))
        moustache = _blob(x, y, (0.0, face.mouth_y - 0.09), (0.24, 0.05))
        cover = np.clip(np.maximum(chin, moustache) * (0.75 + 0.35 * noise[3]), 0.0, 1.0) * face.beard * 0.9
        albedo += cover * (face.brow[:, None, None] * (1.0 + 0.2 * noise[3]) - albedo)
    return cast(Array, albedo)


def _hair(face: Identity, albedo: Array, noise: Array) -> Array:
    """Hair on the front of the head, above the hair line and down the temples."""
    x, y = _grid()
    line = (
        face.hair_line
        + 0.018 * noise[4]
        + 0.02 * noise[0]
        + (1.0 + face.hair_side) * np.clip(np.abs(x) - 0.45, 0.0, None) ** 2 * 1.8
    )
    cover = np.clip(0.5 + (line - y) / 0.07, 0.0, 1.0)
    strands = face.hair[:, None, None] * (1.0 + 0.3 * noise[3]) * (0.85 + 0.25 * np.clip(-y, 0.0, 1.0))
    return cast(Array, albedo + cover * (strands - albedo))


def make_maps(face: Identity) -> Maps:
    """The maps of a person; the same person always gives the same maps."""
    rng = np.random.default_rng(face.texture_seed)
    scales = ((14, 14), (3, 3), (1.2, 1.2), (9, 0.9), (2, 1.2))
    noise = np.stack([gaussian_filter(rng.standard_normal((TEXELS, TEXELS), np.float32), scale) for scale in scales])
    noise /= noise.std(axis=(1, 2), keepdims=True)
    relief = _relief(face)
    down, across = np.gradient(relief, 2 * REACH / (TEXELS - 1))
    slope = np.stack([across, down])
    albedo = np.clip(_hair(face, _skin(face, noise), noise), 0.0, 1.0)
    return Maps(albedo.astype(np.float32), relief, slope.astype(np.float32))
