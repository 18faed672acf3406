"""The head in space: which point of the face every pixel of a picture shows, and how the light falls on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from mien.data.synthetic.identity import Array, Identity
from mien.data.synthetic.texture import REACH, TEXELS, Maps

Window = tuple[slice, slice]
HEIGHT = 1.33  # the head's half height over its half width


@dataclass(frozen=True)
class Pose:
    """Where the head is and how it is turned.

    Attributes:
        x, y: centre of the head in pixels.
        scale: half width of a nominal head in pixels.
        yaw, pitch, roll: radians; positive turns to the image's right, down, and clockwise.
        jaw_drop: how far the jaw is open, 0..1; it lengthens the lower face.
    """

    x: float
    y: float
    scale: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    jaw_drop: float = 0.0


@dataclass(frozen=True)
class Light:
    """One lamp and what the room gives back.

    Attributes:
        direction: unit vector towards the lamp: x right, y down, z towards the camera.
        level: strength of the lamp; ``ambient``: of the room.
        tint: colour of the light, ``(3,)``.
    """

    direction: Array
    level: float
    ambient: float
    tint: Array


class Head:
    """The part of a picture in which a head appears, with every pixel's face coordinates.

    Painters change ``albedo`` (colour under white light) and ``shade`` (light that arrives); ``blend`` puts the
    product onto the picture.

    Attributes:
        area: rows and columns of the picture, ``(h, w)`` pixels.
        x, y: face coordinates of every pixel; ``cover``: 0..1 inside the silhouette.
        fine: size of a pixel in face coordinates.
    """

    def __init__(self, face: Identity, maps: Maps, pose: Pose, size: tuple[int, int]) -> None:
        self.face, self.pose = face, pose
        self.across = pose.scale * face.width
        self.up = pose.scale * HEIGHT * face.height
        self.down = self.up * (1.0 + 0.07 * pose.jaw_drop)
        self.fine = 1.0 / self.across
        self.rotation = _rotation(pose)
        self.area = self._area(size)
        u, v = self._upright()
        r2 = u * u + v * v
        z = np.sqrt(np.clip(1.0 - r2, 0.0, None))
        self.cover = np.clip((1.0 - np.sqrt(r2)) * self.across / 1.3 + 0.5, 0.0, 1.0)
        self._normal = (u, v, z)
        m = self.rotation
        x, y = m[0, 0] * u + m[1, 0] * v + m[2, 0] * z, m[0, 1] * u + m[1, 1] * v + m[2, 1] * z
        x, y = self._lifted(x, y, maps.relief)
        self.x, self.y = x, y
        texel = _texel(x, y)
        self.albedo: Array = maps.albedo.reshape(3, -1)[:, texel]
        self._slope: Array = maps.slope.reshape(2, -1)[:, texel]
        self.shade: Array = np.ones_like(x)
        self.shine: Array | None = None

    def _area(self, size: tuple[int, int]) -> Window:
        height, width = size
        reach = self.down * 1.08
        top, left = int(self.pose.y - reach), int(self.pose.x - reach)
        bottom, right = int(self.pose.y + reach) + 1, int(self.pose.x + reach) + 1
        return slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))

    def _upright(self) -> tuple[Array, Array]:
        """Pixels in the frame of the untilted unit disc: ``u`` to the right, ``v`` down."""
        rows, columns = self.area
        dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(self.pose.y)
        dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None] - np.float32(self.pose.x)
        c, s = np.float32(np.cos(self.pose.roll)), np.float32(np.sin(self.pose.roll))
        across, along = c * dx + s * dy, c * dy - s * dx
        v = along * np.where(along < 0, np.float32(1 / self.up), np.float32(1 / self.down))
        return across / (np.float32(self.across) * self._taper(v)), v

    def _taper(self, v: Array) -> Array:
        """Half width of the silhouette at height ``v``, relative to that of an ellipse."""
        low = np.clip(v, 0.0, 1.0)
        return cast(Array, 1.0 - np.float32(self.face.jaw) * low * low)

    def _lifted(self, x: Array, y: Array, relief: Array) -> tuple[Array, Array]:
        """Face coordinates of what is seen when the relief stands out (parallax, two steps)."""
        tilt_x, tilt_y, facing = (np.float32(value) for value in self.rotation[2])
        seen_x, seen_y = x, y
        flat = relief.reshape(-1)
        for _ in range(2):
            height = flat[_texel(seen_x, seen_y)]
            seen_x, seen_y = x - height * (tilt_x / facing), y - height * (tilt_y / facing)
        return seen_x, seen_y

    def window(self, x: float, y: float, reach_x: float, reach_y: float, lift: float = 0.0) -> Window:
        """Rows and columns of ``area`` that show the face around ``(x, y)``."""
        point = np.array([x, y, np.sqrt(max(0.0, 1.0 - x * x - y * y))]) * (1.0 + lift)
        u, v, _ = self.rotation @ point
        along = v * (self.up if v < 0 else self.down)
        across = u * self.across * float(self._taper(np.array(v)))
        c, s = np.cos(self.pose.roll), np.sin(self.pose.roll)
        row = self.pose.y + s * across + c * along - self.area[0].start
        column = self.pose.x + c * across - s * along - self.area[1].start
        slant = abs(s)
        tall = reach_y * self.down + slant * reach_x * self.across + 2
        wide = reach_x * self.across + slant * reach_y * self.down + 2
        rows = slice(max(0, int(row - tall)), max(0, int(row + tall) + 1))
        return rows, slice(max(0, int(column - wide)), max(0, int(column + wide) + 1))

    def light_up(self, light: Light) -> None:
        """Multiply ``shade`` with the light on every pixel's surface."""
        u, v, z = self._normal
        m, (slope_x, slope_y) = self.rotation, self._slope
        lamp = light.direction
        turned = lamp @ m  # the lamp as the face sees it, so that slopes need no turning
        plain = u * lamp[0] + v * lamp[1] + z * lamp[2]
        bent = plain - slope_x * turned[0] - slope_y * turned[1] / np.float32(HEIGHT)
        bent = bent / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
        diffuse = np.clip(0.25 + 0.75 * bent, 0.0, None)
        rim = 0.65 + 0.35 * z
        self.shade *= (light.ambient + light.level * diffuse) * rim
        glint = np.clip(bent * z, 0.0, 1.0)
        glint *= glint
        glint *= glint
        glint *= glint
        self.shine = np.float32(0.09 * light.level) * glint

    def blend(self, picture: Array, light: Light) -> None:
        """Put the lit head onto ``picture`` ``(3, H, W)``."""
        lit = self.albedo * (self.shade * self.cover)
        if self.shine is not None:
            lit += self.shine * self.cover
        part = picture[:, *self.area]
        part *= 1.0 - self.cover
        part += lit * light.tint[:, None, None]


def _rotation(pose: Pose) -> Array:
    """Face → camera for yaw and pitch (roll turns the picture's plane)."""
    cy, sy, cp, sp = np.cos(pose.yaw), np.sin(pose.yaw), np.cos(pose.pitch), np.sin(pose.pitch)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    return cast(Array, (pitch @ yaw).astype(np.float32))


def _texel(x: Array, y: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Flat index into a map of the nearest texel."""
    step = np.float32((TEXELS - 1) / (2 * REACH))
    column = ((x + np.float32(REACH)) * step + np.float32(0.5)).astype(np.int32)
    row = ((y + np.float32(REACH)) * step + np.float32(0.5)).astype(np.int32)
    np.clip(column, 0, TEXELS - 1, out=column)
    np.clip(row, 0, TEXELS - 1, out=row)
    index: np.ndarray[tuple[int, ...], np.dtype[np.int32]] = row * np.int32(TEXELS) + column
    return index
