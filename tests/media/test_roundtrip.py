"""What the writer wrote, the reader reads: pictures, times and sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import MienError
from mien.media import VideoReader, VideoWriter, read_sound


def picture(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """A smooth gradient whose blue channel tells the index."""
    y, x = np.mgrid[:height, :width]
    blue = np.full(x.shape, (index * 8) % 256)
    return np.stack([x * 255 / width, y * 255 / height, blue], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [(130, 100), (131, 101), (64, 37)])
def test_pictures_and_times(tmp_path: Path, size: tuple[int, int]) -> None:
    with VideoWriter(tmp_path / "a.mp4", size, fps=30, gop=12) as out:
        for index in range(40):
            out.write(picture(index, *size))
    with VideoReader(tmp_path / "a.mp4") as video:
        assert len(video) == 40
        np.testing.assert_allclose(video.times, np.arange(40) / 30, atol=1e-4)
        for index, image in zip([0, 17, 39], video.at_indices([0, 17, 39]), strict=True):
            seen = image[: size[1], : size[0]].astype(int)
            assert np.abs(seen - picture(index, *size)).mean() < 4


def test_times_of_ones_own(tmp_path: Path) -> None:
    times = [0.0, 0.01, 0.5, 0.52, 3.0, 3.1]
    with VideoWriter(tmp_path / "a.mp4", (64, 64)) as out:
        for index, time in enumerate(times):
            out.write(np.full((64, 64), index * 30, np.uint8), time=time)
    with VideoReader(tmp_path / "a.mp4", grey=True) as video:
        np.testing.assert_allclose(video.times, times, atol=1e-4)
        levels = video.at_times([0, 0.3, 0.51, 2.99, 3.0, 9.0])[:, 5, 5, 0]
        np.testing.assert_allclose(levels, [0, 30, 60, 90, 120, 150], atol=2)


def test_sound_is_in_step(tmp_path: Path) -> None:
    samples = np.zeros(48000, np.float32)
    samples[16000:16020], samples[32000:32020] = 0.8, -0.8
    with VideoWriter(tmp_path / "a.mp4", (32, 32), sound_rate=16000) as out:
        for index in range(75):
            out.write(picture(index, 32, 32))
        out.write_sound(samples[:7000])
        out.write_sound(samples[7000:])
    sound = read_sound(tmp_path / "a.mp4", 16000)
    assert sound is not None
    assert sound.start == 0.0
    assert abs(int(np.argmax(sound.samples)) - 16010) < 16
    assert abs(int(np.argmin(sound.samples)) - 32010) < 16


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> None:
        with VideoWriter(tmp_path / "a.mp4", (32, 32)) as out:
            out.write(picture(0, 32, 32))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with pytest.raises(MienError, match="no picture was written"), VideoWriter(tmp_path / "a.mp4", (32, 32)):
        pass
    assert list(tmp_path.iterdir()) == []
