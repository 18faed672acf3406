"""What surrounds a person: the room behind, the light, and the camera with its faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from mien.data.synthetic.head import Light
from mien.data.synthetic.identity import Array

NOISE = (0.002, 0.010)  # standard deviation of the camera's noise
GRAIN = 64  # pixels by which the noise is larger than the picture, so that no two frames have the same
EXPOSURE = (0.92, 1.08)
MIDDLE = 0.5  # brightness that the camera's automatic exposure gives to skin
AUTOMATIC = 0.7  # share of the way there, on a logarithmic scale, that it goes
MARGIN = 12  # pixels of background beyond the picture, for a camera that sways


def draw_light(rng: Generator) -> Light:
    """A lamp somewhere in front of and above the face."""
    direction = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.1), 1.0])
    warm = rng.uniform(-0.06, 0.06)
    tint = np.array([1.0 + warm, 1.0, 1.0 - warm])
    ambient = rng.uniform(0.25, 0.5)
    return Light(
        (direction / np.linalg.norm(direction)).astype(np.float32),
        float(np.float32(rng.uniform(0.95, 1.1) - ambient)),
        float(np.float32(ambient)),
        tint.astype(np.float32),
    )


def lit_skin(skin: Array, light: Light) -> float:
    """Brightness of skin that faces the camera, 0..1."""
    return float(skin @ np.array([0.30, 0.59, 0.11])) * (light.ambient + 0.8 * light.level)


def draw_background(rng: Generator, size: tuple[int, int], light: Light) -> Array:
    """A room out of focus, ``(3, H + 2 * MARGIN, W + 2 * MARGIN)``: walls, a few things in front of them, texture."""
    height, width = size[0] + 2 * MARGIN, size[1] + 2 * MARGIN
    base = rng.uniform(0.25, 0.8) + rng.normal(0, 0.04, 3)
    room = np.empty((3, height, width), np.float32)
    room[:] = base[:, None, None]
    for _ in range(int(rng.integers(2, 8))):
        top, left = int(rng.integers(0, height)), int(rng.integers(0, width))
        tall, wide = int(rng.integers(height // 8, height)), int(rng.integers(width // 10, width // 2))
        tone = np.clip(base * rng.uniform(0.5, 1.4) + rng.normal(0, 0.06, 3), 0.03, 1.0)
        room[:, top : top + tall, left : left + wide] = tone[:, None, None]
    focus = rng.uniform(1.0, 6.0)
    room = gaussian_filter(room, (0, focus, focus))
    grain = gaussian_filter(rng.standard_normal((height, width), np.float32), 2.0)
    slope = np.linspace(1.0, rng.uniform(0.6, 1.3), width, dtype=np.float32)
    room *= (1.0 + 0.12 * grain) * slope * light.tint[:, None, None] * np.float32(light.ambient + 0.6 * light.level)
    return cast(Array, np.clip(room, 0.0, 1.0))


@dataclass
class Camera:
    """Exposure, noise, softness and sway of a camera, fixed for one recording.

    Attributes:
        exposure: factor on the light at every frame, ``(T,)``.
        sway: ``(T, 2)`` whole pixels by which the background moves.
        softness: width in pixels of the blur, 1 is none.
        noise: ``(3, H + GRAIN, W + GRAIN)`` of which every frame takes another part; ``shifts`` ``(T, 2)`` says which.
    """

    exposure: Array
    sway: NDArray[np.int64]
    softness: int
    noise: Array
    shifts: NDArray[np.int64]

    @classmethod
    def draw(cls, rng: Generator, frames: int, size: tuple[int, int], brightness: float) -> Camera:
        """A random camera for ``frames`` pictures of ``size`` (height, width) of faces of a ``brightness``."""
        steps = np.arange(frames) / max(1, frames - 1)
        flicker = 1.0 + rng.uniform(0.0, 0.05) * np.sin(2 * np.pi * steps * rng.uniform(0.3, 2.0) + rng.uniform(0, 6.3))
        level = rng.uniform(*EXPOSURE) * (MIDDLE / brightness) ** AUTOMATIC
        walk = np.cumsum(rng.normal(0, 0.35, (frames, 2)), axis=0)
        sway = np.clip(np.rint(walk), -MARGIN, MARGIN).astype(np.int64)
        noise = rng.standard_normal((3, size[0] + GRAIN, size[1] + GRAIN), np.float32) * np.float32(rng.uniform(*NOISE))
        softness = int(rng.choice([1, 1, 2, 3]))
        return cls((flicker * level).astype(np.float32), sway, softness, noise, rng.integers(0, GRAIN, (frames, 2)))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.noise.shape[1] - GRAIN, self.noise.shape[2] - GRAIN

    def backdrop(self, room: Array, index: int) -> Array:
        """A fresh copy of the part of ``room`` that is behind frame ``index``."""
        dy, dx = self.sway[index]
        rows, columns = room.shape[1] - 2 * MARGIN, room.shape[2] - 2 * MARGIN
        return room[:, MARGIN + dy : MARGIN + dy + rows, MARGIN + dx : MARGIN + dx + columns].copy()

    def develop(self, picture: Array, index: int) -> NDArray[np.uint8]:
        """Light ``(3, H, W)`` → uint8 RGB ``(H, W, 3)`` as this camera records it."""
        if self.softness > 1:
            picture = uniform_filter(picture, (0, self.softness, self.softness))
        height, width = picture.shape[1:]
        dy, dx = self.shifts[index]
        picture = picture * self.exposure[index] + self.noise[:, dy : dy + height, dx : dx + width]
        np.clip(picture, 0.0, 1.0, out=picture)
        picture *= 255.0
        return np.ascontiguousarray(picture.astype(np.uint8).transpose(1, 2, 0))
