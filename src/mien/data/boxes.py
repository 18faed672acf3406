"""Boxes drawn in a picture: random crops, crops at fixed places, boxes to erase. Plain numbers, no pixels."""

from __future__ import annotations

import math

from mien.data.seeding import Draws

Box = tuple[int, int, int, int]  # top, left, height, width

CROP_TRIES = 10
ERASE_TRIES = 100
ERASE_RATIO = (0.3, 1 / 0.3)
# Where a smaller box may stand in a picture, in quarters of the room that is left: across, down.
ANCHORS = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3))
SNAP = 3  # a side this close to the size that is asked for takes that size


def area_box(height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], rng: Draws) -> Box:
    """A box of a random area and shape, anywhere (Szegedy et al. 2015; random resized crop of the published scripts).

    Args:
        height, width: of the picture.
        scale: range of the box's share of the area, drawn uniformly.
        ratio: range of width over height, drawn log-uniformly.
        rng: draws area, ratio, top and left, in this order, for each of ten tries.

    Returns:
        The first box that fits; else the largest centred one with a ratio in range.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(CROP_TRIES):
        area = height * width * rng.uniform(*scale)
        shape = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    shape = min(max(width / height, ratio[0]), ratio[1])
    w, h = min(width, round(height * shape)), min(height, round(width / shape))
    return (height - h) // 2, (width - w) // 2, h, w


def anchored_sides(height: int, width: int, sizes: tuple[float, ...], target: int) -> list[tuple[int, int]]:
    """Widths and heights that ``anchored_box`` chooses from, neighbours in ``sizes`` combined."""
    sides = [int(min(height, width) * size) for size in sizes]
    sides = [target if abs(side - target) < SNAP else side for side in sides]
    last = len(sides)
    return [(sides[j], sides[i]) for i in range(last) for j in range(last) if abs(i - j) <= 1]


def anchored_places(height: int, width: int, h: int, w: int) -> list[tuple[int, int]]:
    """The 13 places of a box ``h`` by ``w``: (left, top) of corners, centre, middles of edges, quarter points."""
    across, down = (width - w) // 4, (height - h) // 4
    return [(x * across, y * down) for x, y in ANCHORS]


def anchored_box(height: int, width: int, sizes: tuple[float, ...], target: int, rng: Draws) -> Box:
    """A box of one of a few sizes at one of 13 places: the multi-scale crop of the published pretraining scripts.

    Args:
        height, width: of the picture.
        sizes: sides as shares of the shorter side of the picture, descending.
        target: size that the crop is resized to; sides within two pixels of it take it exactly.
        rng: draws the pair of sides, then the place.
    """
    sides = anchored_sides(height, width, sizes, target)
    w, h = sides[int(rng.integers(len(sides)))]
    w, h = min(w, width), min(h, height)
    places = anchored_places(height, width, h, w)
    left, top = places[int(rng.integers(len(places)))]
    return top, left, h, w


def erase_box(height: int, width: int, scale: tuple[float, float], rng: Draws) -> Box | None:
    """A box smaller than the picture whose content is to be erased (Zhong et al. 2020); None after a hundred misfits.

    Args:
        height, width: of the picture.
        scale: range of the box's share of the area.
        rng: draws area, ratio (height over width, log-uniform in 0.3 ... 1 / 0.3), top and left for each try.
    """
    low, high = math.log(ERASE_RATIO[0]), math.log(ERASE_RATIO[1])
    for _ in range(ERASE_TRIES):
        area = rng.uniform(*scale) * height * width
        shape = math.exp(rng.uniform(low, high))
        h, w = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if w < width and h < height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return None
