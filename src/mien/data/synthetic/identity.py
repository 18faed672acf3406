"""Who is seen: shape, colours and hair of a person, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

SKINS = ("f4ccb2", "e9b899", "d19e78", "ad7a59", "855a42", "614330")
HAIRS = ("1a1412", "382417", "613d21", "9e7542", "7a3319", "999999")
IRISES = ("38211a", "5c3a1c", "40618c", "476b45", "6b737a")
CLOTHES = ("2b3a55", "7a2e2e", "dcdcd4", "3c5a3c", "222222", "8a6d3b", "55407a", "b86a3c")


@dataclass(frozen=True)
class Identity:
    """A person at rest.

    Lengths are in face coordinates: on the front of the head's ellipsoid x runs from -1 (image left) to 1 and y from
    -1 (top of the skull) to 1 (chin). Colours are ``(3,)`` in 0..1.

    Attributes:
        width, height: half axes of the head relative to its nominal size.
        jaw: how much the head narrows towards the chin.
        eye_*: place, half width, half opening and slant of the eyes; ``iris`` is its radius.
        brow_*: height above the eye, thickness, arch and slant of the eyebrows.
        nose_*: the tip's y, half width at the wings, and how far it stands out.
        mouth_*: y and half width of the mouth; ``lip_upper`` and ``lip_lower`` are the lips' thickness.
        hair_line: y where the hair begins; ``hair_side`` how far it comes down at the temples.
        hair_volume: height of the hair over the skull; ``hair_length`` y where it ends behind the head.
        beard: density of beard and moustache, 0..1; ``age``: depth of folds and bags, 0..1.
        glasses: whether glasses are worn; ``frame`` is their colour.
        pitch: median pitch of the voice in Hz; ``tract`` scales its formants.
        texture_seed: seed of everything on the skin that is not a shape.
    """

    width: float
    height: float
    jaw: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_open: float
    eye_tilt: float
    iris: float
    brow_rise: float
    brow_thickness: float
    brow_arch: float
    brow_tilt: float
    nose_y: float
    nose_width: float
    nose_depth: float
    mouth_y: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    hair_line: float
    hair_side: float
    hair_volume: float
    hair_length: float
    beard: float
    age: float
    freckles: float
    glasses: bool
    pitch: float
    tract: float
    skin: Array
    hair: Array
    brow: Array
    lips: Array
    eyes: Array
    frame: Array
    clothes: Array
    texture_seed: int


def colour(code: str) -> Array:
    """``(3,)`` RGB in 0..1 of a hexadecimal code."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)


def _jittered(rng: Generator, codes: tuple[str, ...], spread: float) -> Array:
    """One of the colours, mixed with its neighbour and varied a little."""
    place = rng.uniform(0, len(codes) - 1)
    low = int(place)
    mixed = colour(codes[low]) * (1 - (place - low)) + colour(codes[low + 1]) * (place - low)
    return np.clip(mixed * rng.uniform(1 - spread, 1 + spread, 3), 0.02, 1.0).astype(np.float32)


def _hair_line(rng: Generator) -> float:
    """A fringe, usual hair lines, a receding one, or none (-1.3)."""
    line = rng.choice([-0.45, -0.6, -0.68, -0.8, -1.3], p=[0.25, 0.3, 0.25, 0.1, 0.1])
    return float(line + rng.uniform(-0.04, 0.04))


def draw_identity(rng: Generator) -> Identity:
    """A random person; the same generator state gives the same person."""
    skin, hair = _jittered(rng, SKINS, 0.04), _jittered(rng, HAIRS, 0.1)
    low_voice = bool(rng.random() < 0.5)
    lips = skin * np.array([0.86, 0.60, 0.60], np.float32) * rng.uniform(0.85, 1.05)
    return Identity(
        width=rng.uniform(0.93, 1.05),
        height=rng.uniform(0.95, 1.06),
        jaw=rng.uniform(0.12, 0.30),
        eye_x=rng.uniform(0.36, 0.42),
        eye_y=rng.uniform(-0.06, 0.02),
        eye_width=rng.uniform(0.165, 0.20),
        eye_open=rng.uniform(0.055, 0.085),
        eye_tilt=rng.uniform(-0.02, 0.03),
        iris=rng.uniform(0.075, 0.09),
        brow_rise=rng.uniform(0.15, 0.22),
        brow_thickness=rng.uniform(0.02, 0.042),
        brow_arch=rng.uniform(0.02, 0.07),
        brow_tilt=rng.uniform(-0.03, 0.03),
        nose_y=rng.uniform(0.26, 0.33),
        nose_width=rng.uniform(0.13, 0.19),
        nose_depth=rng.uniform(0.18, 0.28),
        mouth_y=rng.uniform(0.55, 0.60),
        mouth_width=rng.uniform(0.28, 0.36),
        lip_upper=rng.uniform(0.03, 0.06),
        lip_lower=rng.uniform(0.045, 0.08),
        hair_line=_hair_line(rng),
        hair_side=rng.uniform(0.1, 0.7),
        hair_volume=rng.uniform(0.03, 0.16),
        hair_length=rng.choice([-0.1, 0.2, 0.9, 1.5], p=[0.35, 0.2, 0.2, 0.25]),
        beard=rng.uniform(0.3, 1.0) if low_voice and rng.random() < 0.45 else 0.0,
        age=rng.uniform(0.0, 1.0),
        freckles=max(0.0, rng.uniform(-1.0, 1.0)),
        glasses=bool(rng.random() < 0.22),
        pitch=rng.uniform(95, 140) if low_voice else rng.uniform(170, 230),
        tract=rng.uniform(0.95, 1.05) if low_voice else rng.uniform(1.1, 1.2),
        skin=skin,
        hair=hair,
        brow=hair * rng.uniform(0.55, 0.85) * 0.8 + skin * 0.1,
        lips=lips.astype(np.float32),
        eyes=_jittered(rng, IRISES, 0.1),
        frame=np.full(3, rng.uniform(0.03, 0.25), np.float32) * rng.uniform(0.7, 1.3, 3).astype(np.float32),
        clothes=_jittered(rng, CLOTHES, 0.2),
        texture_seed=int(rng.integers(2**31)),
    )
