"""Single pictures: the quick JPEG decoder against Pillow, bit for bit, and what is refused."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mien.errors import MienError
from mien.media import HeldFile, Limits, Still

rng = np.random.default_rng(0)


def jpeg(size: tuple[int, int], mode: str = "RGB", **kept: int | bool) -> bytes:
    """A smooth random picture of a size, as JPEG."""
    coarse = rng.integers(0, 256, (size[1] // 3 + 1, size[0] // 3 + 1, 4), dtype=np.uint8)
    picture = Image.fromarray(coarse).convert("CMYK" if mode == "CMYK" else "RGB").convert(mode).resize(size)
    file = io.BytesIO()
    picture.save(file, "JPEG", **kept)
    return file.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    still = Still(HeldFile("frame.jpg", data))
    pixels = np.empty((still.size[1], still.size[0], 3), dtype=np.uint8)
    still.decode_into(pixels)
    return pixels


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (8, 8), (17, 33), (159, 161)])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(("quality", "progressive"), [(5, False), (75, True), (95, False), (100, True)])
def test_jpeg_is_what_pillow_makes_of_it(
    mode: str, size: tuple[int, int], subsampling: int, quality: int, progressive: bool
) -> None:
    data = jpeg(size, mode, subsampling=subsampling, quality=quality, progressive=progressive)
    np.testing.assert_array_equal(decoded(data), by_pillow(data))


def test_plain_jpeg_needs_no_pillow_and_goes_straight_into_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg((24, 16))
    expected = by_pillow(data)
    monkeypatch.setattr(Image, "open", None)
    pixels = np.zeros((3, 16, 24, 3), dtype=np.uint8)
    Still(HeldFile("frame.jpg", data)).decode_into(pixels[1])
    np.testing.assert_array_equal(pixels[1], expected)
    assert not pixels[0].any()
    assert not pixels[2].any()


DAMAGE = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=3)


@given(DAMAGE, st.one_of(st.just(1.0), st.floats(0, 1)))
@settings(max_examples=300)
def test_damage_is_what_pillow_makes_of_it(changes: list[tuple[float, int]], kept: float) -> None:
    """Refused where Pillow refuses; else the same picture."""
    damaged = bytearray(WHOLE)
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    data = bytes(damaged[: int(kept * len(damaged))])
    try:
        expected = by_pillow(data)
    except (OSError, ValueError, SyntaxError):
        with pytest.raises(MienError, match=r"^frame\.jpg: not a readable picture \("):
            decoded(data)
    else:
        np.testing.assert_array_equal(decoded(data), expected)


WHOLE = jpeg((40, 24), subsampling=2)


def test_names_do_not_decide(tmp_path: Path) -> None:
    pixels = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "frame.jpg", "PNG")
    still = Still(tmp_path / "frame.jpg")
    found = np.empty_like(pixels)
    still.decode_into(found)
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("missing.jpg", "cannot be read (No such file or directory)"),
        ("folder.jpg", "cannot be read (Is a directory)"),
        ("pipe.jpg", "is not a regular file"),
        ("empty.jpg", "not a readable picture (none of JPEG, PNG, BMP, WEBP)"),
        ("film.jpg", "not a readable picture (none of JPEG, PNG, BMP, WEBP)"),
        ("large.jpg", "3,000 pixels, over the limit of 2,999"),
        ("large.png", "3,000 pixels, over the limit of 2,999"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(tmp_path: Path, file: str, said: str) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "film.jpg").write_bytes(b"\0\0\0\x20ftypisom" + bytes(64))
    (tmp_path / "large.jpg").write_bytes(jpeg((60, 50)))
    Image.new("L", (60, 50)).save(tmp_path / "large.png")
    with pytest.raises(MienError) as caught:
        Still(tmp_path / file, Limits(pixels=2999))
    assert str(caught.value).startswith(f"{tmp_path / file}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
