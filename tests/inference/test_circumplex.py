"""The plane beside the picture: geometry, the mark at the values of the moment, and a whole film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from mien.errors import UsageError
from mien.inference import Timeline
from mien.inference.circumplex import SIDE, Circumplex, square_at
from mien.inference.colours import face_colour
from mien.inference.playback import Playback


def test_a_mark_that_would_leave_the_plane_is_not_drawn() -> None:
    assert square_at(0.0, 0.0) == (344, 376, 344, 376)
    assert square_at(0.97, 0.2) is None
    assert square_at(-0.95, 0.95) == (686, 718, 686, 718)


def test_the_mark_stands_at_the_values_of_the_moment(circumplex: Timeline) -> None:
    playback = Playback(circumplex)
    picture = np.full((100, 200, 3), 90, dtype=np.uint8)
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    drawn = Circumplex(playback, SIDE, font).beside(picture, 0.5, [0])
    assert drawn.shape == (SIDE, 2 * SIDE, 3)
    # the picture is fitted into the left half without being stretched
    assert (drawn[SIDE // 2, :SIDE] == 90).all()
    assert (drawn[20, :SIDE] == 0).all()
    valence, arousal = playback.course(0, ("valence", "arousal"), np.array([0.5]))[0]
    row, column = round(SIDE / 2 * (1 - arousal)), round(SIDE / 2 * (1 + valence))
    np.testing.assert_array_equal(drawn[row, SIDE + column], face_colour(0))


def test_nobody_leaves_the_plane_empty(circumplex: Timeline) -> None:
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    picture = np.zeros((50, 50, 3), dtype=np.uint8)
    plane = Circumplex(Playback(circumplex), SIDE, font)
    assert (plane.beside(picture, 0.9, [0]) == plane.beside(picture, 0.9, [])).mean() > 0.98


def test_a_model_without_valence_is_refused(classified: Timeline, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"circumplex shows valence and arousal|no picture is known"):
        classified.overlay(tmp_path / "out.mp4", beside=True)
