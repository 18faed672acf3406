"""What the writer wrote, the reader reads: pictures, times and sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
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


def test_unwritable_places_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "none" / "a.mp4", tmp_path / "folder.mp4"):
        with pytest.raises(MienError, match="cannot be written") as error:
            VideoWriter(path, (32, 32))
        assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_senseless_pictures_are_refused(tmp_path: Path) -> None:
    out = VideoWriter(tmp_path / "a.mp4", (32, 24))
    for image in (np.zeros((32, 24, 3), np.uint8), np.zeros((24, 32, 4), np.uint8), np.zeros((24, 32, 3), np.float32)):
        with pytest.raises(MienError, match="does not fit"):
            out.write(image)
    with pytest.raises(MienError, match="is before 0 s"):
        out.write(picture(0, 32, 24), time=-0.5)
    out.write(picture(0, 32, 24), time=0.5)
    with pytest.raises(MienError, match="is not after the last picture"):
        out.write(picture(1, 32, 24), time=0.5)
    with pytest.raises(MienError, match="give sound_rate"):
        out.write_sound(np.zeros(100, np.float32))
    out.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    "options", [{"size": (0, 32)}, {"fps": 0.0}, {"quality": 60}, {"gop": 0}, {"sound_rate": 12345}]
)
def test_senseless_settings_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(MienError, match=r"a\.mp4: (size|AAC)"):
        VideoWriter(tmp_path / "a.mp4", **{"size": (32, 32), **options})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")
    out = VideoWriter(path, (32, 32))
    out.write(picture(0, 32, 32))
    assert path.read_text() == "old"
    out.close()
    assert len(VideoReader(path)) == 1


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        with VideoWriter(tmp_path / name, (64, 48), sound_rate=16000) as out:
            for index in range(30):
                out.write(picture(index, 64, 48))
            out.write_sound(np.sin(np.arange(16000) / 10).astype(np.float32))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_colours_survive(tmp_path: Path) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 150, 100], [255, 255, 255], [0, 0, 0]], np.uint8)
    with VideoWriter(tmp_path / "a.mp4", (32 * len(colours), 32), quality=5) as out:
        out.write(np.repeat(np.repeat(colours[None], 32, axis=1), 32, axis=0))
    with VideoReader(tmp_path / "a.mp4") as video:
        seen = video.at_indices([0])[0][16, 16::32]
    assert np.abs(seen.astype(int) - colours).max() <= 3


def test_gop_sets_the_entry_points(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (64, 48), gop=5) as out:
        for index in range(30):
            out.write(picture(index, 64, 48))
    with av.open(str(tmp_path / "a.mp4")) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert sum(keys) >= 6


def test_a_broken_rate_does_not_drift(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (16, 16), fps=24000 / 1001) as out:
        for _ in range(3000):
            out.write(np.zeros((16, 16), np.uint8))
    with VideoReader(tmp_path / "a.mp4") as video:
        np.testing.assert_allclose(video.times, np.arange(3000) * 1001 / 24000, atol=2e-5)


def test_exact_pictures_come_back_as_they_were(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 34, 48, 3), dtype=np.uint8)
    with VideoWriter(tmp_path / "clip.mp4", (48, 34), 25.0, 16000, gop=1, quick=True, exact=True) as out:
        for number, image in enumerate(pictures):
            out.write(image, 0.1 * number)
        out.write_sound(np.zeros(8000, dtype=np.float32))
    with VideoReader(tmp_path / "clip.mp4") as video:
        assert np.array_equal(video.at_indices(range(5)), pictures)
        assert video.times == pytest.approx(0.1 * np.arange(5), abs=1e-4)
        assert video.info.sound is not None
