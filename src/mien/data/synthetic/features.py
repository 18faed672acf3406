"""The parts of a face that move: brows, eyes, mouth and the folds between them, as action units set them."""

from __future__ import annotations

from typing import cast

import numpy as np

from mien.data.synthetic.head import Head
from mien.data.synthetic.identity import Array
from mien.data.synthetic.units import INDEX

LEFT, RIGHT = 0, 1  # image sides; units are (K, 2)


def _soft(distance: Array, edge: float) -> Array:
    """0..1: how far a pixel is on the positive side of an edge that is ``edge`` wide."""
    return cast(Array, np.clip(0.5 + distance * np.float32(1.0 / edge), 0.0, 1.0))


def _bell(distance: Array) -> Array:
    return cast(Array, np.exp(-distance * distance))


def _paint(part: Array, mask: Array, colour: Array) -> None:
    """Blend ``colour`` (3,) over ``part`` (3, h, w) where ``mask`` (h, w) is 1."""
    part += mask * (colour[:, None, None] - part)


def _value(units: Array, number: int, side: int) -> float:
    return float(units[INDEX[number], side])


def _mean(units: Array, number: int) -> float:
    return float(units[INDEX[number]].mean())


def paint_features(head: Head, units: Array, gaze: tuple[float, float]) -> None:
    """Paint what units ``(K, 2)`` (image left, image right; 0..1) and ``gaze`` (-1..1) make of the face."""
    for side in (LEFT, RIGHT):
        _eye(head, units, side, gaze)
        _brow(head, units, side)
        _cheek(head, units, side)
    _forehead(head, units)
    _nose(head, units)
    _mouth(head, units)


def _eye(head: Head, units: Array, side: int, gaze: tuple[float, float]) -> None:
    face = head.face
    sign = -1.0 if side == LEFT else 1.0
    window = head.window(sign * face.eye_x, face.eye_y, face.eye_width * 1.5, 0.24)
    if not head.x[window].size:
        return
    shut = min(1.0, _value(units, 43, side))
    wide, tight, raised = _value(units, 5, side), _value(units, 7, side), _value(units, 6, side)
    x = (sign * head.x[window] - face.eye_x) / face.eye_width  # 1 is the outer corner
    y = head.y[window] - face.eye_y + face.eye_tilt * x
    arch = np.clip(1.0 - x * x, 0.0, None)
    bow = np.sqrt(arch) * 0.6 + arch * 0.4
    high = face.eye_open * max(0.08, (1.0 + 0.6 * wide - 0.35 * tight - 0.15 * raised))
    low = face.eye_open * 0.65 * max(0.1, 1.0 + 0.15 * wide - 0.55 * tight - 0.6 * raised)
    upper = -bow * (high * (1.0 - shut) - low * 0.8 * shut)
    lower = bow * low
    edge = 1.5 * head.fine
    albedo, shade = head.albedo[:, *window], head.shade[window]
    near = (np.abs(x) < 1.25).astype(np.float32)
    lid = _soft(y - upper + 0.075, 2.5 * edge) * _soft(upper - y, edge) * _soft(1.1 - np.abs(x), 0.3)
    albedo *= 1.0 - 0.16 * lid
    inside = _soft(y - upper, edge) * _soft(lower - y, edge) * _soft(1.0 - np.abs(x), 0.05)
    _paint(albedo, inside, np.array([0.90, 0.87, 0.85], np.float32))
    across = (x - 0.32 * sign * gaze[0]) * face.eye_width
    along = (y + 0.15 * face.eye_open - 0.6 * face.eye_open * gaze[1]) * 1.25
    distance = np.sqrt(across * across + along * along)
    iris = _soft(face.iris - distance, edge) * inside
    ring = face.eyes[:, None, None] * (1.15 - 0.75 * np.clip(distance / face.iris, 0, 1) ** 3)
    albedo += iris * (ring - albedo)
    _paint(albedo, _soft(face.iris * 0.42 - distance, edge) * inside, np.full(3, 0.02, np.float32))
    spark = _bell((across + 0.03) / 0.022) * _bell((along + 0.035) / 0.022) * inside
    _paint(albedo, np.clip(1.3 * spark, 0, 1), np.full(3, 1.0, np.float32))
    shade *= 1.0 - 0.35 * inside * _bell((y - upper) / 0.035)
    lash = _bell((y - upper) / 0.019) * _soft(1.06 - np.abs(x), 0.12) * (0.75 + 0.2 * x) * near
    _paint(albedo, np.clip(lash, 0, 1), np.array([0.08, 0.06, 0.05], np.float32))
    shade *= 1.0 - 0.22 * _bell((y - lower - 0.006) / 0.014) * _soft(1.05 - np.abs(x), 0.2)
    crease = _bell((y - upper + 0.055 + 0.02 * (1 - wide)) / 0.018) * _soft(1.15 - np.abs(x), 0.35)
    shade *= 1.0 - (0.3 - 0.1 * wide) * crease
    bag = _bell((y - lower - 0.075 + 0.02 * raised) / 0.02) * _soft(1.0 - np.abs(x), 0.5)
    shade *= 1.0 - (0.08 + 0.12 * face.age + 0.25 * raised + 0.15 * tight) * bag


def _brow(head: Head, units: Array, side: int) -> None:
    face = head.face
    sign = -1.0 if side == LEFT else 1.0
    centre = face.eye_y - face.brow_rise
    window = head.window(sign * face.eye_x, centre, 0.34, 0.24)
    if not head.x[window].size:
        return
    inner, outer, lowered = _value(units, 1, side), _value(units, 2, side), _value(units, 4, side)
    drawn = 0.055 * lowered
    x = (sign * head.x[window] - face.eye_x + drawn) / 0.235
    at_inner, at_outer = np.clip(0.55 - 0.6 * x, 0.0, 1.0), np.clip(0.4 + 0.6 * x, 0.0, 1.0)
    line = centre - face.brow_arch * (1.0 - (x - 0.25) ** 2) - face.brow_tilt * x
    line = line - 0.115 * inner * at_inner - 0.115 * outer * at_outer + lowered * (0.035 + 0.055 * at_inner)
    thick = face.brow_thickness * (1.15 - 0.55 * np.clip(x, -1, 1)) * 0.9
    y = head.y[window]
    mask = _soft(thick - np.abs(y - line), 2.2 * head.fine) * _soft(1.0 - np.abs(x), 0.22)
    _paint(head.albedo[:, *window], 0.9 * mask, head.face.brow)
    below = _bell((y - line - thick - 0.03) / 0.04) * _soft(1.0 - np.abs(x), 0.5)
    head.shade[window] *= 1.0 - (0.10 + 0.22 * lowered) * below


def _forehead(head: Head, units: Array) -> None:
    """Lines across the forehead (1, 2) and between the brows (4)."""
    face = head.face
    raised = np.clip((units[INDEX[1]] + units[INDEX[2]]) / 2, 0.0, 1.0)
    top = face.eye_y - face.brow_rise
    window = head.window(0.0, top - 0.2, 0.62, 0.2)
    depth = 0.2 + 0.8 * face.age
    if raised.max() > 0.05 and head.x[window].size:
        x, y = head.x[window], head.y[window]
        amount = np.where(x < 0, raised[LEFT], raised[RIGHT]) * 0.2 * (0.5 + 0.5 * depth)
        fade = np.clip(1.0 - (x / 0.55) ** 2, 0.0, None)
        for row in range(3):
            curve = top - 0.14 - 0.085 * row + 0.03 * np.cos(5.0 * x + row)
            head.shade[window] *= 1.0 - amount * fade * _bell((y - curve) / 0.013)
    frown = _mean(units, 4)
    window = head.window(0.0, top + 0.03, 0.14, 0.16)
    if frown > 0.03 and head.x[window].size:
        x, y = head.x[window], head.y[window]
        fade = _bell((y - top - 0.03) / 0.1)
        furrow = _bell((np.abs(x) - 0.055 + 0.02 * frown) / 0.016)
        head.shade[window] *= 1.0 - frown * (0.25 + 0.25 * depth) * fade * furrow


def _nose(head: Head, units: Array) -> None:
    """Nostrils, and the wrinkles of unit 9."""
    face, up = head.face, _mean(units, 9)
    edge = 2.0 * head.fine
    window = head.window(0.0, face.nose_y, 0.3, 0.2, lift=0.2)
    if head.x[window].size:
        x, y = np.abs(head.x[window]), head.y[window] - face.nose_y + 0.025 * up
        hole = ((x - face.nose_width * 0.42) / 0.042) ** 2 + ((y - 0.055) / 0.022) ** 2
        head.shade[window] *= 1.0 - 0.6 * _soft(1.0 - hole, edge * 12)
        wing = _bell((np.hypot(x - face.nose_width * 0.72, y - 0.01) - 0.07) / 0.018) * _soft(
            x - face.nose_width * 0.8, 0.06
        )
        head.shade[window] *= 1.0 - (0.18 + 0.2 * up) * wing
        head.shade[window] *= 1.0 - 0.16 * _bell((y - 0.10) / 0.03) * _bell(x / (face.nose_width * 0.9))
    window = head.window(0.0, face.eye_y + 0.1, 0.22, 0.17, lift=0.1)
    if up > 0.03 and head.x[window].size:
        x, y = np.abs(head.x[window]), head.y[window] - face.eye_y
        lines = 0.5 + 0.5 * np.cos((y + 0.7 * x) * 75.0)
        head.shade[window] *= 1.0 - 0.4 * up * lines * _bell((x - 0.07) / 0.08) * _bell((y - 0.1) / 0.085)


def _cheek(head: Head, units: Array, side: int) -> None:
    """Fold from nose to mouth (9, 10, 12), raised cheek and crow's feet (6, 12), stretched corner (20)."""
    face = head.face
    sign = -1.0 if side == LEFT else 1.0
    smile, cheek = _value(units, 12, side), _value(units, 6, side)
    sneer = max(_value(units, 10, side), _value(units, 9, side))
    stretch = _value(units, 20, side)
    window = head.window(sign * 0.36, (face.nose_y + face.mouth_y) / 2, 0.3, 0.28)
    if head.x[window].size:
        x, y = sign * head.x[window], head.y[window]
        along = np.clip((y - face.nose_y + 0.03) / (face.mouth_y - face.nose_y + 0.06), 0.0, 1.0)
        curve = (
            face.nose_width + 0.04 + along * (face.mouth_width - face.nose_width + 0.03 + 0.1 * smile + 0.07 * stretch)
        )
        curve = curve + 0.05 * np.sin(np.pi * along) * (smile + 0.5 * sneer)
        fade = _soft(y - face.nose_y + 0.04 + 0.05 * sneer, 0.08) * _soft(face.mouth_y + 0.06 - y, 0.14)
        depth = 0.08 + 0.14 * face.age + 0.26 * smile + 0.3 * sneer + 0.15 * stretch
        fold = _bell((x - curve) / 0.024)
        puff = _bell((x - curve - 0.07) / 0.06)
        head.shade[window] *= 1.0 + fade * (0.35 * depth * puff - depth * fold)
    raised = max(cheek, 0.5 * smile)
    window = head.window(sign * 0.46, face.eye_y + 0.24, 0.26, 0.17)
    if raised > 0.03 and head.x[window].size:
        x, y = sign * head.x[window], head.y[window] - face.eye_y
        apple = _bell((x - 0.45) / 0.15) * _bell((y - 0.22 + 0.03 * raised) / 0.075)
        under = _bell((x - 0.47) / 0.16) * _bell((y - 0.31 + 0.03 * raised) / 0.04)
        head.shade[window] *= 1.0 + raised * (0.22 * apple - 0.16 * under)
    window = head.window(sign * 0.68, face.eye_y + 0.03, 0.14, 0.14)
    if cheek > 0.05 and head.x[window].size:
        x, y = sign * head.x[window] - 0.60, head.y[window] - face.eye_y - 0.01
        lines = 0.5 + 0.5 * np.cos(18.0 * np.arctan2(y, x + 0.12))
        head.shade[window] *= 1.0 - 0.28 * cheek * (0.4 + 0.6 * face.age) * lines * _bell((x - 0.05) / 0.07) * _bell(
            y / 0.09
        )


def _mouth(head: Head, units: Array) -> None:
    face = head.face
    parted, open_, pressed = _mean(units, 25), _mean(units, 26), _mean(units, 23)
    chin, lifted = _mean(units, 17), _mean(units, 10)
    smile, drop, stretch = units[INDEX[12]], units[INDEX[15]], units[INDEX[20]]
    half = face.mouth_width * (1.0 + 0.22 * smile + 0.06 * drop + 0.28 * stretch - 0.12 * pressed - 0.1 * open_)
    window = head.window(0.0, face.mouth_y + 0.04, float(half.max()) * 1.25, 0.3)
    if not head.x[window].size:
        return
    x, y = head.x[window], head.y[window]
    side = x >= 0
    s = x / np.where(side, np.float32(half[RIGHT]), np.float32(half[LEFT]))
    ends = -0.115 * smile + 0.10 * drop + 0.03 * stretch
    corner = np.where(side, np.float32(ends[RIGHT]), np.float32(ends[LEFT]))
    t = np.abs(s)
    inside = np.clip(1.0 - s * s, 0.0, None)
    bow = np.sqrt(inside)
    middle = face.mouth_y + 0.025 * float(smile.mean()) - 0.045 * chin - 0.025 * lifted + corner * t * np.sqrt(t)
    gap = (0.03 * parted + 0.13 * open_) * (0.6 * bow + 0.4 * inside)
    sneer = 0.035 * lifted * (0.4 + 0.6 * np.clip(1.4 * t * (1.0 - t) * 2.0, 0, 1)) * bow
    inner_up, inner_low = middle - 0.3 * gap - sneer, middle + 0.7 * gap
    thin = (1.0 - 0.55 * pressed) * (1.0 - 0.2 * float(stretch.mean())) * (1.0 - 0.12 * float(smile.mean()))
    cupid = 1.0 - 0.22 * _bell(s / 0.11) + 0.08 * _bell((t - 0.24) / 0.12)
    outer_up = inner_up - face.lip_upper * thin * cupid * (0.25 * bow + 0.75 * inside)
    outer_low = inner_low + face.lip_lower * thin * (1.0 + 0.2 * chin) * (0.45 * bow + 0.55 * inside)
    edge = 1.6 * head.fine
    within = _soft(1.0 - t, 0.06)
    albedo, shade = head.albedo[:, *window], head.shade[window]
    lips = _soft(y - outer_up, 1.5 * edge) * _soft(outer_low - y, 1.5 * edge) * within
    _paint(albedo, 0.85 * lips, face.lips)
    shade *= 1.0 - 0.14 * lips * _soft(middle - y, 0.03)
    shade *= 1.0 + 0.16 * lips * _bell((y - inner_low - 0.5 * (outer_low - inner_low)) / 0.02) * _bell(s / 0.6)
    hole = _soft(y - inner_up, edge) * _soft(inner_low - y, edge) * within
    _paint(albedo, hole, np.array([0.13, 0.04, 0.04], np.float32))
    teeth = hole * _soft(inner_up + 0.055 - y, edge) * _soft(0.86 - t, 0.2)
    _paint(albedo, 0.92 * teeth, np.array([0.86, 0.83, 0.76], np.float32))
    tongue = hole * _soft(y - inner_low + 0.045 + 0.02 * (s * s), 2 * edge) * _soft(0.6 - t, 0.3)
    _paint(albedo, 0.7 * tongue, np.array([0.55, 0.22, 0.22], np.float32))
    seam = _bell((y - middle) / (0.011 + 0.003 * pressed)) * _soft(1.04 - t, 0.12) * (1.0 - hole)
    _paint(albedo, np.clip((0.62 + 0.2 * pressed) * seam, 0, 1) * _soft(0.02 - gap, 0.02), face.lips * np.float32(0.35))
    pit = _bell((t - 1.03) / 0.09) * _bell((y - middle) / 0.03)
    shade *= 1.0 - (0.15 + 0.25 * np.where(side, smile[RIGHT] + drop[RIGHT], smile[LEFT] + drop[LEFT])) * pit
    shade *= 1.0 - (0.12 + 0.15 * chin) * _bell((y - outer_low - 0.045) / 0.03) * _bell(s / 0.75)
    if chin > 0.05:
        dimples = 0.5 + 0.5 * np.cos(x * 60.0) * np.cos(y * 50.0)
        shade *= 1.0 - 0.25 * chin * dimples * _bell(x / 0.14) * _bell((y - face.mouth_y - 0.24) / 0.07)
