"""Boxes: inside the picture, of the area and shape that were asked for, every choice reached."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mien.data.boxes import anchored_box, anchored_places, anchored_sides, area_box, erase_box

SIDES = st.integers(24, 400)
SEEDS = st.integers(0, 2**31)


@given(height=SIDES, width=SIDES, seed=SEEDS)
def test_every_box_lies_inside(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = (1.0, 0.875, 0.75, 0.66)
    boxes = [
        area_box(height, width, (0.08, 1.0), (3 / 4, 4 / 3), rng),
        anchored_box(height, width, sizes, 160, rng),
        erase_box(height, width, (0.02, 1 / 3), rng) or (0, 0, 1, 1),
    ]
    for top, left, h, w in boxes:
        assert 0 <= top <= height - h
        assert 0 <= left <= width - w
        assert h > 0
        assert w > 0


def test_areas_and_ratios_keep_to_their_ranges() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        _, _, height, width = area_box(120, 160, (0.3, 0.8), (0.75, 4 / 3), rng)
        assert 0.29 <= height * width / (120 * 160) <= 0.81
        assert 0.73 <= width / height <= 1.37
        box = erase_box(120, 160, (0.1, 0.2), rng)
        assert box is not None
        assert 0.09 <= box[2] * box[3] / (120 * 160) <= 0.21
        assert 0.28 <= box[2] / box[3] <= 3.5


def test_impossible_crops_fall_back_to_the_centre_and_impossible_erasing_to_nothing() -> None:
    assert area_box(40, 100, (1.0, 1.0), (1.0, 1.0), np.random.default_rng(0)) == (0, 30, 40, 40)
    assert erase_box(40, 100, (1.0, 1.0), np.random.default_rng(0)) is None


def test_anchored_crops_take_every_pair_and_place_about_equally() -> None:
    rng = np.random.default_rng(0)
    seen = Counter(anchored_box(160, 160, (1.0, 0.875, 0.75, 0.66), 160, rng) for _ in range(13_000))
    sizes = Counter()
    for (_, _, height, width), count in seen.items():
        sizes[width, height] += count
    assert set(sizes) == set(anchored_sides(160, 160, (1.0, 0.875, 0.75, 0.66), 160))
    assert len(sizes) == 10
    assert all(1100 < count < 1500 for count in sizes.values())
    small = {(left, top) for top, left, height, width in seen if (height, width) == (105, 105)}
    assert small == set(anchored_places(160, 160, 105, 105))
    assert len(small) == 13


def test_sides_near_the_target_take_it() -> None:
    """161 is within two pixels of 160, 163 is not."""
    assert {side for pair in anchored_sides(161, 161, (1.0,), 160) for side in pair} == {160}
    assert {side for pair in anchored_sides(163, 163, (1.0,), 160) for side in pair} == {163}
