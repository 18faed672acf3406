from __future__ import annotations

from math import cos, hypot, pi, radians, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import astronaut

from mien.faces.warp import Patch, Square, cut

HEIGHT, WIDTH = 200, 250
Y, X = np.mgrid[:HEIGHT, :WIDTH] + 0.5
# A picture that says where it is: red is x, green is y, in pixels. Averaging and interpolating keep that true.
ATLAS = np.stack([X, Y, np.zeros_like(X)], axis=-1).astype(np.uint8)


def expected_places(square: Square, size: int) -> np.ndarray:
    """Where the centres of the crop's pixels lie in the picture, ``(size, size, 2)`` x, y."""
    v, u = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    x = square.x + square.side * (u * cos(square.angle) - v * sin(square.angle))
    y = square.y + square.side * (u * sin(square.angle) + v * cos(square.angle))
    return np.stack([x, y], axis=-1)


@given(
    x=st.floats(-20, WIDTH + 20),
    y=st.floats(-20, HEIGHT + 20),
    side=st.floats(8, 600),
    angle=st.one_of(st.just(0.0), st.floats(-pi, pi)),
    size=st.sampled_from([16, 33, 64]),
)
@settings(max_examples=200)
def test_every_pixel_comes_from_its_place(x: float, y: float, side: float, angle: float, size: int) -> None:
    square = Square(x, y, side, angle)
    crop = cut(ATLAS, square, size).astype(float)
    places = expected_places(square, size)
    # Kernels reach some pixels: compare where they stay inside and clear of what repeats the border.
    reach = 2 + 3 * side / size
    inside = np.all((places > reach) & (places < np.array([WIDTH, HEIGHT]) - reach), axis=-1)
    error = np.abs(crop[..., :2] + 0.5 - places)[inside]
    assert error.max(initial=0) < 1.5 + 0.02 * side / size


@given(left=st.integers(0, 150), top=st.integers(0, 100), size=st.integers(16, 100))
@settings(max_examples=40)
def test_whole_pixels_are_copied(left: int, top: int, size: int) -> None:
    crop = cut(ATLAS, Square(left + size / 2, top + size / 2, size), size)
    np.testing.assert_array_equal(crop, ATLAS[top : top + size, left : left + size])


def test_right_angles_are_rotations() -> None:
    piece = astronaut()[100:164, 200:264]
    square = Square(232, 132, 64, radians(90))
    np.testing.assert_array_equal(cut(astronaut(), square, 64), np.rot90(piece))


def test_outside_repeats_the_border_or_is_black() -> None:
    square = Square(0, 100, 100)
    edge, black = cut(ATLAS, square, 50), cut(ATLAS, square, 50, fill="black")
    np.testing.assert_array_equal(edge[:, :24, 0], 0)
    np.testing.assert_allclose(edge[:, 10, 1], np.arange(50) * 2 + 50, atol=1)
    assert not black[:, :24].any()
    np.testing.assert_array_equal(edge[:, 26:], black[:, 26:])


@pytest.mark.parametrize("square", [Square(-500, -500, 60), Square(2000, 100, 80, 0.4), Square(100, -900, 3000, -1.0)])
def test_far_outside_is_filled(square: Square) -> None:
    assert cut(ATLAS, square, 32).shape == (32, 32, 3)
    if square.side < 100:
        assert not cut(ATLAS, square, 32, fill="black").any()


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_reducing_averages_instead_of_picking(angle: float) -> None:
    """A checkerboard finer than the crop's pixels turns into even grey, not into moiré."""
    board = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    crop = cut(np.repeat(board[..., None], 3, axis=2), Square(200, 200, 250, angle), 40)
    assert crop.min() > 105
    assert crop.max() < 150


@pytest.mark.parametrize("angle", [0.0, 30.0, -100.0])
def test_shares_of_a_square_are_its_corners_and_centre(angle: float) -> None:
    square = Square(10, 20, 4, radians(angle))
    points = np.concatenate([square.corners(), [[10, 20]]])
    np.testing.assert_allclose(square.shares(points), [[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]], atol=1e-12)


def test_shares_of_a_patch() -> None:
    patch = Patch(10, 20, 14, 28, averaged=False)
    np.testing.assert_allclose(patch.shares(np.array([[10.0, 20.0], [12.0, 26.0]])), [[0, 0], [0.5, 0.75]])


def test_corners_by_hand() -> None:
    upright = Square(10, 20, 4).corners()
    np.testing.assert_allclose(upright, [[8, 18], [12, 18], [12, 22], [8, 22]])
    turned = Square(10, 20, 4, radians(45)).corners()
    np.testing.assert_allclose(turned[0], [10, 20 - hypot(2, 2)], atol=1e-9)
