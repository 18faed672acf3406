"""Arithmetic of boxes ``(N, 4)`` x0, y0, x1, y1 in pixels, half-open."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.faces.types import Floats


def areas(boxes: Floats) -> Floats:
    """Areas ``(N,)`` in square pixels; 0 for boxes turned inside out."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    product: Floats = sides[..., 0] * sides[..., 1]
    return product


def overlap(first: Floats, second: Floats, over: Literal["union", "smaller"] = "union") -> Floats:
    """Shared area of every pair ``(N, M)`` divided by that of their union (IoU), or of the smaller of the two."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=-1)
    one, other = areas(first)[:, None], areas(second)[None, :]
    whole = np.minimum(one, other) if over == "smaller" else one + other - common
    ratio: Floats = common / np.maximum(whole, 1e-9)
    return ratio


def shared(one: Floats, other: Floats) -> float:
    """Overlap (IoU) of two boxes ``(4,)``."""
    return float(overlap(one[None], other[None])[0, 0])


def squared(boxes: Floats) -> Floats:
    """Squares about the same centres with each box's longer side."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def shifted(boxes: Floats, offsets: Floats) -> Floats:
    """Boxes whose four sides moved by ``offsets`` ``(N, 4)``, given as shares of width and height."""
    sides = boxes[:, 2:] - boxes[:, :2]
    moved: Floats = boxes + offsets * np.tile(sides, 2)
    return moved


def suppress(
    boxes: Floats, scores: Floats, limit: float, over: Literal["union", "smaller"] = "union"
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression; returns the kept indices, best score first.

    A box falls when a kept one with a higher score overlaps it by more than ``limit``. Instead of visiting boxes one
    by one, "kept" is found as the fixed point of that sentence: since a box depends on better ones only, it exists,
    is unique, equals the greedy answer, and is reached in as many rounds as the longest chain of overlaps.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order]
    beats = np.triu(overlap(ranked, ranked, over) > limit, k=1).astype(np.float32)
    kept = np.ones(len(order), dtype=bool)
    while True:
        again = kept.astype(np.float32) @ beats == 0
        if np.array_equal(again, kept):
            return order[kept]
        kept = again
