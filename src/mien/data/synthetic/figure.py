"""A whole person in a picture: body, hair behind the head, ears, the head itself, glasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from mien.data.synthetic.features import paint_features
from mien.data.synthetic.head import Head, Light, Pose
from mien.data.synthetic.identity import Array, Identity
from mien.data.synthetic.texture import Maps, make_maps


@dataclass(frozen=True)
class Look:
    """One moment of a person.

    Attributes:
        pose: place and turn of the head.
        units: ``(K, 2)`` what the face shows, image left and right, 0..1.
        gaze: horizontal and vertical, -1..1.
    """

    pose: Pose
    units: Array
    gaze: tuple[float, float] = (0.0, 0.0)


class Figure:
    """A person ready to be painted; the maps are made once."""

    def __init__(self, face: Identity) -> None:
        self.face = face
        self.maps: Maps = make_maps(face)

    def paint(self, picture: Array, look: Look, light: Light) -> None:
        """Paint the person onto ``picture``, float32 ``(3, H, W)`` in 0..1."""
        head = Head(self.face, self.maps, look.pose, (picture.shape[1], picture.shape[2]))
        _hair_behind(picture, self.face, head, light)
        _body(picture, self.face, head, light)
        _ears(picture, self.face, head, light)
        head.light_up(light)
        paint_features(head, look.units, look.gaze)
        head.blend(picture, light)
        if self.face.glasses:
            _glasses(picture, self.face, head, light)


def _over(part: Array, mask: Array, colour: Array, shade: Array | float = 1.0) -> None:
    part += mask * (colour[:, None, None] * shade - part)


def _patch(picture: Array, x: float, y: float, reach_x: float, reach_y: float) -> tuple[Array, Array, Array] | None:
    """The part of a picture around a point, with the distances of its columns and rows from that point."""
    height, width = picture.shape[1:]
    top, bottom = max(0, int(y - reach_y)), min(height, int(y + reach_y) + 1)
    left, right = max(0, int(x - reach_x)), min(width, int(x + reach_x) + 1)
    if top >= bottom or left >= right:
        return None
    dx = np.arange(left, right, dtype=np.float32)[None] - np.float32(x)
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    return picture[:, top:bottom, left:right], dx, dy


def _hair_behind(picture: Array, face: Identity, head: Head, light: Light) -> None:
    if face.hair_line < -1.1:
        return
    pose, volume = head.pose, face.hair_volume
    wide, tall = head.across * (1.06 + volume), head.up * (1.04 + volume)
    patch = _patch(picture, pose.x, pose.y, wide * 1.3, max(tall, head.up * face.hair_length) + 2)
    if patch is None:
        return
    part, dx, dy = patch
    straight = dx + np.float32(np.sin(pose.roll)) * dy
    row = dy / np.float32(tall)
    spread = np.where(row < 0, np.sqrt(np.clip(1.0 - row * row, 0.0, 1.0)), 1.0 + 0.08 * row)
    mask = np.clip((spread * wide - np.abs(straight)) / 1.5 + 0.5, 0.0, 1.0)
    ends = head.up * face.hair_length + 3.0 * np.cos(straight * np.float32(40.0 / wide))
    mask = mask * (row > -1) * np.clip((ends - dy) / 4 + 0.5, 0.0, 1.0)
    strands = 0.75 + 0.12 * np.cos(straight * np.float32(70.0 / wide) + 3.0 * row)
    _over(part, mask, face.hair * light.tint, strands * np.float32(light.ambient + 0.45 * light.level))


def _body(picture: Array, face: Identity, head: Head, light: Light) -> None:
    pose = head.pose
    lean = float(np.sin(pose.roll)) * head.down * 0.6
    neck_x, chin = pose.x - lean * 0.5, pose.y + head.down
    height = picture.shape[1]
    patch = _patch(picture, neck_x, (chin + height) / 2, head.across * 2.6, (height - chin) / 2 + 0.45 * head.down)
    if patch is None:
        return
    part, dx, dy = patch
    below = (dy + np.float32((chin + height) / 2 - chin)) / np.float32(head.up)
    across = np.abs(dx) / np.float32(head.across)
    side = 1.0 + 0.25 * np.float32(light.direction[0]) * dx / np.float32(head.across)
    level = np.float32(light.ambient + 0.55 * light.level)
    neck = np.clip((0.47 + 0.09 * below * below - across) * head.across / 1.5, 0.0, 1.0) * (below > -0.5)
    under = 0.55 + 0.35 * np.clip((below - 0.02) / 0.35, 0.0, 1.0)
    _over(part, neck, face.skin * light.tint, level * under * np.clip(side, 0.6, 1.3))
    shoulder = below - 0.16 - 0.13 * across * across - 0.1 * np.clip(0.55 - across, 0.0, None)
    cloth = np.clip(shoulder * head.up / 1.5 + 0.5, 0.0, 1.0)
    fold = 1.0 + 0.08 * np.cos(9.0 * across + 6.0 * below)
    _over(part, cloth, face.clothes * light.tint, level * fold * np.clip(side, 0.6, 1.3))


def _ears(picture: Array, face: Identity, head: Head, light: Light) -> None:
    if face.hair_length > 0.5 and face.hair_volume > 0.05:
        return
    pose = head.pose
    c, s = np.cos(pose.roll), np.sin(pose.roll)
    for sign in (-1.0, 1.0):
        point = head.rotation @ np.array([sign * 0.99, 0.06, -0.05])
        if sign * point[0] < 0.8:
            continue
        across, along = point[0] * head.across, point[1] * head.up
        size = 0.13 * head.across
        patch = _patch(
            picture, pose.x + c * across - s * along, pose.y + s * across + c * along, size + 2, size * 2 + 2
        )
        if patch is None:
            continue
        part, dx, dy = patch
        radius = np.sqrt((dx / np.float32(size)) ** 2 + (dy / np.float32(1.9 * size)) ** 2)
        mask = np.clip((1.0 - radius) * size / 1.5 + 0.5, 0.0, 1.0)
        facing = 0.6 + 0.4 * max(0.0, sign * float(light.direction[0]))
        inner = 1.0 - 0.3 * np.exp(-((radius / 0.45) ** 2))
        _over(
            part,
            mask,
            face.skin * np.array([0.95, 0.82, 0.8], np.float32) * light.tint,
            inner * np.float32(light.ambient + light.level * facing * 0.7),
        )


def _glasses(picture: Array, face: Identity, head: Head, light: Light) -> None:
    x, y = head.x, head.y
    window = head.window(0.0, face.eye_y, 1.0, 0.3)
    x, y = np.abs(x[window]), y[window] - face.eye_y - 0.02
    if not x.size:
        return
    thick = 0.018 + head.fine * 0.5
    square = ((x - face.eye_x) / 0.27) ** 4 + (y / 0.19) ** 4
    ring = np.abs(cast(Array, np.sqrt(np.sqrt(square))) - 1.0) * 0.22
    mask = np.clip((thick - ring) / (1.5 * head.fine) + 0.5, 0.0, 1.0)
    bridge = np.clip((thick - np.abs(y + 0.03 - 0.3 * x * x)) / (1.5 * head.fine) + 0.5, 0.0, 1.0) * (
        x < face.eye_x - 0.26
    )
    temple = np.clip((thick - np.abs(y + 0.05)) / (1.5 * head.fine) + 0.5, 0.0, 1.0) * (x > face.eye_x + 0.26)
    mask = np.maximum(np.maximum(mask, bridge), temple) * head.cover[window]
    rows, columns = head.area
    part = picture[:, rows, columns][:, *window]
    glare = np.clip(1.0 - square, 0.0, 1.0) * np.clip(np.cos((x - y) * 7.0) - 0.75, 0.0, 1.0)
    part += 0.25 * np.float32(light.level) * glare * head.cover[window]
    _over(part, mask, face.frame * light.tint, light.ambient + light.level)
