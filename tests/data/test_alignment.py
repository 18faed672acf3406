"""Sound and picture of a clip: aligned by default, apart as the published preparation of RAVDESS had them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.data.clips import read_views
from mien.data.manifest import Manifest
from mien.data.sampling import EvenViews
from mien.errors import UsageError
from mien.media import VideoWriter
from mien.media.clip import Clip
from mien.models.specification import Inputs, SoundInput, VideoInput

RATE = 8000
VIDEO = VideoInput(frames=15, fps=15 / 3.6, size=16, crop=None)
SOUND = SoundInput(rate=RATE, features="waveform", options={"seconds": 3.6})


def clip(path: Path, seconds: int, alignment: str) -> Clip:
    """A recording at 30 frames per second in which second n has brightness and loudness n / 10."""
    with VideoWriter(path, (32, 32), fps=30, sound_rate=RATE, quality=0) as out:
        for index in range(30 * seconds):
            out.write(np.full((32, 32, 3), 255 * (index // 30) // 10, np.uint8))
        levels = np.repeat(np.arange(seconds) / 10, RATE)
        out.write_sound((levels * np.sign(np.sin(np.arange(seconds * RATE)))).astype(np.float32))
    manifest = Manifest(pd.DataFrame({"path": [str(path)]}), path.parent)
    inputs = Inputs(video=VIDEO, sound=SOUND, alignment=alignment)
    rng = np.random.default_rng(0)
    (found,) = read_views(manifest.row(manifest.ids[0]), inputs, EvenViews(1), rng).clips
    return found


def test_aligned_sound_is_that_of_the_pictures(tmp_path: Path) -> None:
    found = clip(tmp_path / "long.mp4", 6, "aligned")
    seen = found.frames.mean(axis=(1, 2, 3)) / 25.5
    assert found.sound is not None
    at = ((found.times - found.sound_start) * RATE).astype(int)
    heard = [10 * np.abs(found.sound[max(place - 200, 0) : place + 200]).mean() for place in at + 200]
    np.testing.assert_allclose(seen, np.floor(found.times + 1e-6), atol=0.2)
    assert np.median(np.abs(np.array(heard) - seen)) < 0.2


def test_published_windows_lie_apart(tmp_path: Path) -> None:
    found = clip(tmp_path / "long.mp4", 6, "published")
    np.testing.assert_allclose(
        found.times * 30, [3, 10, 17, 24, 31, 39, 46, 53, 60, 67, 75, 82, 89, 96, 103], atol=1e-6
    )
    assert found.sound is not None
    assert len(found.sound) == 3.6 * RATE
    assert found.sound_start == found.times[0]
    # the middle of 6 s begins at 1.2 s
    loud = [10 * np.abs(found.sound[round((second - 1.2) * RATE) + 800 :][:4000]).mean() for second in (2, 3, 4)]
    np.testing.assert_allclose(loud, [2, 3, 4], atol=0.3)


def test_published_windows_end_in_black_and_silence(tmp_path: Path) -> None:
    found = clip(tmp_path / "short.mp4", 2, "published")
    assert found.present.tolist() == [True] * 8 + [False] * 7
    assert not found.frames[8:].any()
    assert found.sound is not None
    assert len(found.sound) == 3.6 * RATE
    assert not found.sound[round(2.2 * RATE) :].any()


def test_published_windows_need_a_length() -> None:
    with pytest.raises(UsageError, match="needs a fixed number of frames"):
        Inputs(video=VIDEO, sound=SoundInput(), alignment="published")
