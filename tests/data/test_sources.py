"""Folders of frames: their order, what counts as a frame, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.data.sources import FrameFolder, pictures_in
from mien.errors import MienError

NUMBERS = st.lists(st.integers(0, 12_000), min_size=1, max_size=12, unique=True)
PIECES = st.sampled_from(["frame_", "frame_det_00_", "", "a1b", "²x"]), st.sampled_from([0, 3, 6]), st.booleans()


@given(NUMBERS, *PIECES)
def test_the_order_is_that_of_the_numbers(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], head: str, width: int, mixed: bool
) -> None:
    folder = tmp_path_factory.mktemp("frames")
    names = [f"{head}{number:0{0 if mixed and number % 2 else width}d}.jpg" for number in numbers]
    for name in names:
        (folder / name).touch()
    found = [path.name for path in pictures_in(folder)]
    assert found == [name for _, name in sorted(zip(numbers, names, strict=True))]


def test_what_systems_leave_behind_is_no_frame(tmp_path: Path) -> None:
    for name in ("2.PNG", "10.png", "._2.png", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures_in(tmp_path)] == ["2.PNG", "10.png"]


def test_pictures_of_every_kind_come_as_rgb_and_repeat(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 12, 3), dtype=np.uint8)
    grey = pixels[1, ..., 0]
    Image.fromarray(pixels[0]).save(tmp_path / "0.png")
    Image.fromarray(grey).save(tmp_path / "1.png")
    Image.fromarray(np.dstack([pixels[2], np.full((9, 12), 255, np.uint8)])).save(tmp_path / "2.png")
    Image.fromarray(pixels[3]).save(tmp_path / "3.bmp")
    folder = FrameFolder(tmp_path, 10.0)
    assert folder.size == (12, 9)
    assert folder.times.tolist() == [0.0, 0.1, 0.2, 0.3]
    found = folder.at_indices([3, 1, 1, 0, 2, 2])
    expected = [pixels[3], np.dstack([grey] * 3), np.dstack([grey] * 3), pixels[0], pixels[2], pixels[2]]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_frames_of_another_size_or_kind_are_refused_by_name(tmp_path: Path) -> None:
    Image.new("RGB", (12, 9)).save(tmp_path / "0.png")
    Image.new("RGB", (12, 10)).save(tmp_path / "1.png")
    Image.new("RGB", (12, 9)).save(tmp_path / "2.gif")
    (tmp_path / "2.gif").rename(tmp_path / "2.png")
    folder = FrameFolder(tmp_path)
    with pytest.raises(MienError, match=r"1\.png: is 12 x 10 pixels, the first picture of its folder 12 x 9"):
        folder.at_indices([0, 1])
    with pytest.raises(MienError, match=r"2\.png: not a readable picture"):
        folder.at_indices([2])
