from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.inference.hearing import Hearing
from mien.inference.voice import uncovered, window_seconds
from mien.media import Clip, VideoWriter, read_sound
from mien.models.specification import Inputs, SoundInput, VideoInput


def test_uncovered() -> None:
    assert uncovered([], 4.0) == [(0.0, 4.0)]
    assert uncovered([(0.0, 4.0)], 4.0) == []
    assert uncovered([(2.0, 3.0), (0.5, 1.0), (0.7, 1.5)], 4.0) == [(0.0, 0.5), (1.5, 2.0), (3.0, 4.0)]


def test_windows_of_sound_are_as_long_as_those_of_pictures() -> None:
    sound = SoundInput(options={"seconds": 3.0})
    assert window_seconds(Inputs(sound=sound, video=VideoInput(frames=16, fps=5)), 8.0) == 3.0
    assert window_seconds(Inputs(sound=SoundInput(), video=VideoInput(frames=15, fps=5.0)), 8.0) == 3.0
    assert window_seconds(Inputs(sound=SoundInput(), video=VideoInput(frames=16, stride=4)), 8.0) == pytest.approx(2.56)
    assert window_seconds(Inputs(sound=SoundInput()), 8.0) == 8.0


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    path = tmp_path / "noisy.mp4"
    with VideoWriter(path, (32, 32), fps=25, sound_rate=16000) as out:
        for _ in range(25 * 14):
            out.write(np.zeros((32, 32, 3), np.uint8))
        out.write_sound(np.random.default_rng(0).uniform(-0.5, 0.5, 16000 * 13).astype(np.float32))
    return path


def test_hearing_gives_the_stretches_of_the_whole(noisy: Path) -> None:
    whole = read_sound(noisy, 8000)
    assert whole is not None
    with Hearing(noisy, 8000) as hearing:
        for start, end in [(0.0, 1.0), (0.5, 1.5), (4.3, 6.1), (4.9, 5.1), (9.0, 12.0), (12.5, 20.0)]:
            hearing.forget(start)
            part = hearing.between(start, end)
            assert part is not None
            assert part.start == pytest.approx(start, abs=1 / 8000)
            np.testing.assert_array_equal(part.samples, whole.window(part.start, len(part.samples) / 8000))
            assert part.end == pytest.approx(min(end, whole.end), abs=2 / 8000)
        assert hearing.between(14.0, 15.0) is None


def test_hearing_holds_little(noisy: Path) -> None:
    with Hearing(noisy, 8000) as hearing:
        for start in np.arange(0, 12, 0.25):
            hearing.forget(start)
            hearing.between(start, start + 1.0)
            assert sum(len(piece.samples) for piece in hearing._held) <= 2 * 5 * 8000


def test_a_clip_without_sound_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    with VideoWriter(path, (32, 32), fps=25) as out:
        out.write(np.zeros((32, 32, 3), np.uint8))
    clip = Clip(np.zeros((1, 4, 4, 3), np.uint8), np.zeros(1))
    with Hearing(path, 8000) as hearing:
        assert hearing.give(clip, 0.0, 1.0) is clip
