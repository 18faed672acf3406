"""Short clips read straight from their bytes are what the general reader gives, or are left to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import MienError
from mien.media import HeldFile, Limits, ShortClip, VideoReader, VideoWriter, open_clip

B_FRAMES = {"options": {"bf": "3", "b-pyramid": "normal"}}
PLAIN: dict[str, dict[str, Any]] = {
    "groups.mp4": {**B_FRAMES, "gop": 12},
    "one_group.mp4": {**B_FRAMES, "gop": 250},
    "open_gop.mp4": {"options": {"bf": "3", "x264-params": "open-gop=1"}},
    "refresh.mp4": {"options": {"x264-params": "intra-refresh=1:bframes=0"}, "gop": 15},
    "irregular.mp4": {"times": (np.cumsum(np.arange(60) % 7 + 1) - 1).tolist(), **B_FRAMES},
    "table_first.mp4": {"muxing": {"movflags": "+faststart"}},
    "one.mp4": {"frames": 1},
}
OTHER: dict[str, dict[str, Any]] = {
    "fragmented.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "groups.mkv": B_FRAMES,
    "wide.mp4": {"aspect": 2},
    "turned.mp4": {"turned": 90},
}


def written(path: Path, gop: int, size: tuple[int, int] = (64, 48), sound: bool = True) -> Path:
    rng = np.random.default_rng(gop)
    with VideoWriter(path, size, 25.0, gop=gop, quick=True, sound_rate=16000 if sound else None) as out:
        for _ in range(40):
            out.write(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
        if sound:
            out.write_sound(rng.uniform(-1, 1, 25600).astype(np.float32))
    return path


def agrees(clip: ShortClip | None, path: Path) -> None:
    assert clip is not None, path
    with VideoReader(path) as video:
        assert np.array_equal(clip.times, video.times)
        assert clip.size == video.size
        whole = video.at_indices(np.arange(len(video)))
    order = np.random.default_rng(0).integers(0, len(whole), 2 * len(whole))
    assert np.array_equal(clip.at_indices(order), whole[order])
    for index in order[:8].tolist():
        assert np.array_equal(clip.at_indices([index])[0], whole[index])


@pytest.mark.parametrize("name", PLAIN)
def test_the_plainest_form_is_read_exactly(recorder: Any, name: str) -> None:
    path = recorder.video(name, **PLAIN[name])
    agrees(open_clip(path), path)


@pytest.mark.parametrize("name", OTHER)
def test_every_other_form_is_left_to_the_general_reader(recorder: Any, name: str) -> None:
    assert open_clip(recorder.video(name, **OTHER[name])) is None


def test_prepared_clips_one_after_another_from_disk_and_from_memory(tmp_path: Path) -> None:
    """Nothing of one clip may show in the next, whatever their forms and sizes."""
    paths = [
        written(tmp_path / "alone.mp4", 1),
        written(tmp_path / "groups.mp4", 8, sound=False),
        written(tmp_path / "large.mp4", 8, (160, 96)),
        *(written(tmp_path / f"{side}.mp4", 1, (side, side), sound=False) for side in (16, 32, 80)),
    ]
    for path in [*paths, *paths[::-1], *paths]:
        agrees(open_clip(path), path)
        agrees(open_clip(HeldFile("held", path.read_bytes())), path)


def test_numbers_that_are_not_there_are_refused_as_ever(tmp_path: Path) -> None:
    clip = open_clip(written(tmp_path / "a.mp4", 8))
    assert clip is not None
    for wrong in ([40], [-1], [0, 99]):
        with pytest.raises(MienError, match="asked for, it has 0-39"):
            clip.at_indices(wrong)
    assert clip.at_indices([]).shape == (0, 48, 64, 3)


def test_limits_hold(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", 8)
    assert open_clip(path, Limits(frames=39)) is None
    assert open_clip(path, Limits(pixels=64 * 48 - 1)) is None
    assert open_clip(path, Limits(duration=1.0)) is None
    with pytest.raises(MienError, match="no such file"):
        open_clip(tmp_path / "b.mp4")


@pytest.mark.parametrize("kind", [b"stts", b"stsc"])
def test_a_table_that_lies_about_its_length_takes_no_memory(tmp_path: Path, kind: bytes) -> None:
    data = bytearray(written(tmp_path / "a.mp4", 8).read_bytes())
    at = data.index(kind) + 4 + 8  # behind version and number of entries: the first entry
    data[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "b.mp4").write_bytes(data)
    assert open_clip(tmp_path / "b.mp4") is None


@pytest.mark.parametrize("gop", [1, 8])
@pytest.mark.parametrize("seed", range(6))
def test_damage_is_met_as_the_general_reader_meets_it(tmp_path: Path, gop: int, seed: int) -> None:
    """Bytes changed anywhere: the same pictures, the same refusal, never anything else."""
    path = written(tmp_path / "a.mp4", gop)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    first = 0 if seed % 2 else 2000  # the table, or behind it
    for at in rng.integers(first, 2000 if seed % 2 else len(data), 3):
        data[at : at + rng.choice([1, 4, 100])] ^= 0x5A
    path.write_bytes(data.tobytes())
    clip = open_clip(path)
    if clip is None:
        return
    for index in range(0, 40, 3):
        # a new one every time: what a decoder puts in the place of lost parts may be of what it decoded before
        with VideoReader(path) as video:
            assert np.array_equal(clip.times, video.times)
            try:
                expected = video.at_indices([index])
            except MienError as error:
                with pytest.raises(MienError, match=re.escape(str(error).partition(": ")[2])):
                    clip.at_indices([index])
                continue
        assert np.array_equal(clip.at_indices([index]), expected)
