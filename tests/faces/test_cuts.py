from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import astronaut, canvas, darker, pasted
from skimage import data

from mien.faces.cuts import CutDetector
from mien.media import VideoReader

SCENES = [astronaut(), data.coffee()[:400, :512], data.chelsea()[:300, :450], canvas(300, 450)]


def cuts_in(images: list[np.ndarray]) -> list[int]:
    detector = CutDetector()
    return [i for i, image in enumerate(images) if detector.is_cut(image)]


def shaken(image: np.ndarray, count: int, pixels: int) -> list[np.ndarray]:
    """The same scene with camera shake and sensor noise."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(count):
        moved = np.roll(image, rng.integers(-pixels, pixels + 1, 2), axis=(0, 1)).astype(int)
        frames.append(np.clip(moved + rng.integers(-8, 9, moved.shape), 0, 255).astype(np.uint8))
    return frames


def test_cuts_are_where_scenes_change() -> None:
    frames = [frame for scene in SCENES for frame in shaken(scene, 12, 3)]
    assert cuts_in(frames) == [12, 24, 36]


def test_shots_of_two_frames() -> None:
    frames = [frame for scene in SCENES[:3] for frame in shaken(scene, 2, 1)]
    assert cuts_in(frames) == [2, 4]


@pytest.mark.parametrize("pixels", [0, 4, 10])
def test_shake_is_no_cut(pixels: int) -> None:
    assert cuts_in(shaken(astronaut(), 30, pixels)) == []


def test_slow_fade_is_no_cut() -> None:
    assert cuts_in([darker(astronaut(), tenths) for tenths in range(10, 4, -1) for _ in range(8)]) == []


def test_a_face_that_appears_is_no_cut() -> None:
    empty = canvas(360, 640)
    assert cuts_in([empty, empty, pasted(empty, 80, 300, 100)[0], pasted(empty, 80, 303, 100)[0]]) == []


def test_black_frames_are_shots_of_their_own() -> None:
    assert cuts_in([astronaut(), astronaut(), np.zeros_like(astronaut()), np.zeros_like(astronaut())]) == [2]


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 300, 3)])
def test_tiny_pictures(shape: tuple[int, ...]) -> None:
    assert cuts_in([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)]) == [1]


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("pyfeat_noface_face.mov", {96, 168}),
        ("pyfeat_wolfganglanger_pexels.mp4", set()),
        ("intel_asl_thanks.mkv", set()),
        ("grid_bbaf2n.mpg", set()),
    ],
)
def test_real_recordings(name: str, cuts: set[int], samples: Path) -> None:
    """The film has a cut to the person and one to black at the end; other recordings are one shot each."""
    detector = CutDetector()
    with VideoReader(samples / name) as video:
        assert {frame.index for frame in video.frames() if detector.is_cut(frame.image)} == cuts
