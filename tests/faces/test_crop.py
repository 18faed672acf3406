from __future__ import annotations

from math import exp, radians
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import EYES, FACE, astronaut, canvas, rotated
from PIL import Image

from mien.errors import UsageError
from mien.faces import MTCNN, CropRecipe, Detection
from mien.faces.crop import Cropper, square_of


def face_at(x: float, y: float, width: float = 40, height: float = 60, degrees: float = 0) -> Detection:
    """A face about a centre, its eyes a third above it, turned clockwise as seen."""
    c, s = np.cos(radians(degrees)), np.sin(radians(degrees))
    points = np.array([[-9, -12], [9, -12], [0, 2], [-8, 14], [8, 14]]) @ np.array([[c, s], [-s, c]])
    box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return Detection(box, 0.99, points + np.array([x, y]))


def test_square_is_the_longer_side_with_margins() -> None:
    square = square_of(face_at(100, 80), CropRecipe(margin=0.25))
    assert (square.x, square.y, square.side, square.angle) == (100, 80, 90, 0)


@given(degrees=st.floats(-60, 60))
def test_eyes_give_the_angle(degrees: float) -> None:
    recipe = CropRecipe(align="eyes")
    assert square_of(face_at(50, 50, degrees=degrees), recipe).angle == pytest.approx(radians(degrees), abs=1e-9)
    assert square_of(face_at(50, 50, degrees=degrees), CropRecipe()).angle == 0


@pytest.mark.parametrize("degrees", [-25, 0, 15, 30])
def test_aligned_eyes_are_level_and_in_place(mtcnn: MTCNN, degrees: float) -> None:
    """Wherever the head tilts, the detector finds the eyes of the crop level, and at the upright crop's places."""
    recipe = CropRecipe(size=256, margin=0.6, align="eyes", smoothing=0)
    picture = rotated(astronaut(), degrees)
    (face,) = mtcnn.detect(picture[None])[0]
    crop = Cropper(recipe).crop(0, 0.0, picture, face)
    best = mtcnn.detect(crop[None])[0][0]
    assert best.landmarks is not None
    (x0, y0), (x1, y1) = best.landmarks[:2]
    assert abs(np.degrees(np.arctan2(y1 - y0, x1 - x0))) < 4
    assert (x0 + x1) / 2 == pytest.approx(128, abs=12)
    assert 85 < (y0 + y1) / 2 < 125


def test_crop_shows_the_face_where_expected() -> None:
    recipe = CropRecipe(size=170, margin=0.25, smoothing=0)
    crop = Cropper(recipe).crop(0, 0.0, astronaut(), Detection(FACE, 1.0))
    corner = (FACE[:2] + FACE[2:]) / 2 - 169.5 / 2
    u, v = ((EYES[0] - corner) * 170 / 169.5).round().astype(int)
    x, y = EYES[0].round().astype(int)
    piece, source = crop[v - 5 : v + 5, u - 5 : u + 5], astronaut()[y - 5 : y + 5, x - 5 : x + 5]
    assert np.corrcoef(piece.ravel(), source.ravel())[0, 1] > 0.9


def test_a_still_face_gives_a_still_crop() -> None:
    cropper = Cropper(CropRecipe(smoothing=0.3))
    crops = [cropper.crop(3, i / 25, astronaut(), Detection(FACE, 1.0)) for i in range(10)]
    assert all(np.array_equal(crop, crops[0]) for crop in crops)


@given(rate=st.floats(5, 120), constant=st.floats(0.05, 2.0))
@settings(max_examples=30)
def test_step_response_is_that_of_the_time_constant(rate: float, constant: float) -> None:
    """Whatever the frame rate, a step of 10 px has closed 1 - exp(-t / constant) of the way after t."""
    cropper = Cropper(CropRecipe(smoothing=constant))
    cropper.place(0, 0.0, face_at(100, 100))
    for i in range(1, 8):
        square = cropper.place(0, i / rate, face_at(110, 95, 44, 66, degrees=0))
        share = 1 - exp(-i / rate / constant)
        assert square.x == pytest.approx(100 + 10 * share)
        assert square.y == pytest.approx(100 - 5 * share)
        assert square.side == pytest.approx(90 * 1.1**share)


def test_angles_are_smoothed_the_short_way_round() -> None:
    cropper = Cropper(CropRecipe(align="eyes", smoothing=0.1))
    cropper.place(0, 0.0, face_at(100, 100, degrees=170))
    square = cropper.place(0, 0.1, face_at(100, 100, degrees=-170))
    assert radians(170) < square.angle < radians(190)


@pytest.mark.parametrize("new", [face_at(200, 100), face_at(100, 100, 80, 120)])
def test_a_jump_restarts_the_filter(new: Detection) -> None:
    recipe = CropRecipe(smoothing=0.5)
    cropper = Cropper(recipe)
    cropper.place(0, 0.0, face_at(100, 100))
    assert cropper.place(0, 0.04, new) == square_of(new, recipe)


def test_tracks_do_not_disturb_each_other_and_are_forgotten() -> None:
    alone, both = Cropper(CropRecipe()), Cropper(CropRecipe())
    for i in range(5):
        one = alone.place(0, i / 25, face_at(100 + i, 50))
        both.place(1, i / 25, face_at(90 - i, 52))
        assert both.place(0, i / 25, face_at(100 + i, 50)) == one
    both.forget(0)
    assert both.place(0, 1.0, face_at(120, 50)) == square_of(face_at(120, 50), CropRecipe())


def test_size_and_type() -> None:
    crop = Cropper(CropRecipe(size=112)).crop(0, 0.0, canvas(300, 400), face_at(10, 10))
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8


@pytest.mark.parametrize("box", [(30.5, 40.5, 99.4, 141.6), (-3.7, 12.2, 60.0, 90.9), (100.2, 30.1, 109.9, 41.0)])
def test_published_shapes_cut_as_the_authors_did(box: tuple[float, ...]) -> None:
    """OpenCV's resizing of the rounded box for audiovisual fusion, Pillow's of the truncated one for ViPER."""
    cv2 = pytest.importorskip("cv2")
    picture, face = astronaut()[:200, 150:400], Detection(np.array(box), 0.9)

    def cropped(shape: Literal["avfusion", "viper"]) -> np.ndarray:
        recipe = CropRecipe(size=56, shape=shape, margin=0.0, smoothing=0.0)
        return Cropper(recipe).crop(0, 0.0, picture, face).astype(int)

    x0, y0, x1, y1 = (max(int(np.rint(edge)), 0) for edge in box)
    expected = cv2.resize(picture[y0:y1, x0:x1], (56, 56), interpolation=cv2.INTER_LINEAR)
    assert abs(cropped("avfusion") - expected).max() <= 1  # OpenCV's weights have eleven bits
    x0, y0, x1, y1 = (int(max(edge, 0)) for edge in box)
    small = Image.fromarray(np.ascontiguousarray(picture[y0:y1, x0:x1])).resize((56, 56), Image.Resampling.BILINEAR)
    assert np.array_equal(cropped("viper"), np.asarray(small))


def test_published_shapes_know_no_margin() -> None:
    with pytest.raises(UsageError, match="needs margin=0, smoothing=0"):
        CropRecipe(shape="viper")
    recipe = CropRecipe(size=16, shape="avfusion", margin=0.0, smoothing=0.0)
    outside = Detection(np.array([-30.0, 500.0, -10.0, 600.0]), 0.9)
    assert Cropper(recipe).crop(0, 0.0, astronaut()[:100, :100], outside).shape == (16, 16, 3)
