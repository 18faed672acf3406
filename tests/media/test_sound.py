"""Sound lies on the picture's clock, sample for sample, whatever the container says about where it begins."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import resample_poly

from mien.errors import MienError
from mien.media import Sound, read_sound, sound_chunks
from mien.media.waveform import mono

Chirp = Callable[[int, float], NDArray[np.float32]]


def lag(sound: Sound, truth: NDArray[np.float32], begins: float) -> tuple[int, float]:
    """Samples by which ``sound`` lies behind where it should (``truth`` begins at ``begins``), and the mean error."""
    offset = round((sound.start - begins) * sound.rate)
    part = sound.samples[4000:40000]
    errors = {}
    for shift in range(-60, 61):
        at = max(4000 + offset - shift, 0)
        reference = truth[at : at + len(part)]
        errors[shift] = float(np.abs(part[: len(reference)] - reference).mean())
    best = min(errors, key=lambda shift: errors[shift])
    return best, errors[best]


def heard(path: Path, rate: int = 44100) -> Sound:
    sound = read_sound(path, rate)
    assert sound is not None
    return sound


PLACES: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "late.mkv": {"offset": 0.5},
    "late.ts": {"offset": 0.5},
    "pictures_late.mp4": {"pictures_at": (0.6, 75)},
    "pictures_late.mkv": {"pictures_at": (0.6, 75)},
    "pictures_late.ts": {"pictures_at": (0.6, 75)},
    "both_late.ts": {"offset": 1.0, "pictures_at": (0.4, 75)},
    "opus.webm": {"codec": "libopus", "rate": 48000, "picture_codec": "libvpx"},
    "opus.mp4": {"codec": "libopus", "rate": 48000},
    "mp3.mp4": {"codec": "libmp3lame"},
    "mp3.mkv": {"codec": "libmp3lame"},
    "pcm.avi": {"codec": "pcm_s16le", "picture_codec": "mpeg4"},
    "pcm.mov": {"codec": "pcm_s16le"},
    "mp2.mpg": {"codec": "mp2", "picture_codec": "mpeg1video", "container": "mpeg"},
    "flac.mkv": {"codec": "flac"},
    "alone.wav": {"codec": "pcm_s16le", "pictures_at": None},
    "alone.mp3": {"codec": "libmp3lame", "pictures_at": None},
    "alone.flac": {"codec": "flac", "pictures_at": None},
    "alone.opus": {"codec": "libopus", "rate": 48000, "pictures_at": None},
    "alone.m4a": {"codec": "aac", "pictures_at": None},
}


@pytest.mark.parametrize("name", PLACES)
def test_place(recorder: Any, chirp: Chirp, name: str) -> None:
    made = PLACES[name]
    rate = made.get("rate", 44100)
    pictures = made.get("pictures_at", (0.0, 75))
    begins = made.get("offset", 0.0) - (pictures[0] if pictures else 0.0)
    sound = heard(recorder.sound(name, **made), rate)
    assert sound.start >= 0
    shift, error = lag(sound, chirp(rate, 3.0), begins)
    assert abs(shift) <= 1
    assert error < 0.02  # the codec's loss; a shift by ten samples would give more than 0.1
    assert sound.end == pytest.approx(begins + 3.0, abs=0.05)


def test_a_late_start_in_mp4(recorder: Any, chirp: Chirp) -> None:
    """MP4 stores the delay in milliseconds, so up to one is lost by the file itself."""
    sound = heard(recorder.sound("late.mp4", offset=0.5))
    shift, error = lag(sound, chirp(44100, 3.0), 0.5)
    assert abs(shift) <= 45
    assert error < 0.02


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.wav"])
def test_a_stretch_is_cut_from_the_whole(recorder: Any, name: str, rate: int) -> None:
    codec = {"a.mkv": "flac", "a.mp4": "flac", "a.wav": "pcm_s16le"}[name]
    pictures = None if name == "a.wav" else (0.2, 75)
    path = recorder.sound(name, codec=codec, seconds=5.0, pictures_at=pictures)
    whole = heard(path, rate)
    for start, end in [(0.0, 0.3), (0.777, 1.5), (2.5, 2.5003), (3.1, None), (1.2345, 4.9)]:
        part = read_sound(path, rate, start, end)
        assert part is not None
        times = whole.start + np.arange(len(whole.samples)) / rate
        inside = (times >= start - 1e-6) & (times < (np.inf if end is None else end - 1e-6))
        assert part.start == pytest.approx(times[inside][0], abs=1e-9)
        assert np.array_equal(part.samples, whole.samples[inside])


def test_a_stretch_of_a_lossy_track(recorder: Any) -> None:
    """AAC fills bands with noise of its own, so that only nearly the same comes out."""
    path = recorder.sound("a.mp4", seconds=5.0)
    whole, part = heard(path, 16000), read_sound(path, 16000, 2.0, 4.0)
    assert part is not None
    at = round((part.start - whole.start) * 16000)
    np.testing.assert_allclose(part.samples, whole.samples[at : at + 32000], atol=2e-3)


@pytest.mark.parametrize("seconds", [0.1, 0.33, 1.0, 100.0])
def test_chunks_join_to_the_whole(recorder: Any, seconds: float) -> None:
    path = recorder.sound("late.mkv", offset=0.5)
    whole = heard(path, 16000)
    chunks = list(sound_chunks(path, 16000, seconds))
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)
    assert all(len(chunk.samples) == round(seconds * 16000) for chunk in chunks[:-1])
    assert chunks[0].start == whole.start
    for before, after in pairwise(chunks):
        assert after.start == pytest.approx(before.end, abs=1e-9)


@pytest.mark.parametrize(("name", "slack"), [("gap.mkv", 45), ("gap.mp4", 0)])  # Matroska counts in milliseconds
def test_gaps_are_silent(recorder: Any, chirp: Chirp, name: str, slack: int) -> None:
    sound = heard(recorder.sound(name, gap=(1.0, 1.5)))
    assert np.abs(sound.window(1.06, 0.4)).max() == 0
    at, truth = round(1.7 * 44100), chirp(44100, 3.0)
    seen = sound.window(1.7, 1.0)
    errors = [np.abs(seen - truth[at + shift :][:44100]).max() for shift in range(-slack, slack + 1)]
    assert min(errors) < 0.05


@pytest.mark.parametrize(("seconds", "frames"), [(1.7, 75), (3.0, 30)])
def test_shorter_and_longer_than_the_picture(recorder: Any, seconds: float, frames: int) -> None:
    sound = heard(recorder.sound("a.mp4", seconds=seconds, pictures_at=(0.0, frames)), 16000)
    assert sound.end == pytest.approx(seconds, abs=0.03)
    assert len(read_sound(recorder.folder / "a.mp4", start=10.0).samples) == 0


def test_no_sound_is_none(recorder: Any) -> None:
    path = recorder.video("silent.mp4")
    assert read_sound(path) is None
    assert list(sound_chunks(path)) == []


def test_channels_are_averaged(recorder: Any, chirp: Chirp) -> None:
    sound = heard(recorder.sound("a.wav", codec="pcm_s16le", layout="stereo", pictures_at=None))
    np.testing.assert_allclose(sound.samples, 0.75 * chirp(44100, 3.0), atol=1e-4)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_sample_formats_have_one_scale(recorder: Any, chirp: Chirp, codec: str) -> None:
    sound = heard(recorder.sound("a.wav", codec=codec, pictures_at=None))
    assert sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples, chirp(44100, 3.0), atol=1 / 120 if codec == "pcm_u8" else 1e-4)


@pytest.mark.parametrize(("rate", "wanted", "up", "down"), [(44100, 16000, 160, 441), (16000, 48000, 3, 1)])
def test_resampling_agrees_with_scipys(recorder: Any, chirp: Chirp, rate: int, wanted: int, up: int, down: int) -> None:
    path = recorder.sound("a.wav", codec="pcm_f32le", rate=rate, pictures_at=None)
    sound = heard(path, wanted)
    truth = resample_poly(chirp(rate, 3.0).astype(np.float64), up, down, window=("kaiser", 12.0))
    assert len(sound.samples) == len(truth)
    np.testing.assert_allclose(sound.samples[200:-200], truth[200:-200], atol=2e-3)


@settings(max_examples=60)
@given(st.floats(-2, 4), st.floats(0, 3))
def test_windows_have_their_length_and_silence_outside(start: float, seconds: float) -> None:
    sound = Sound(np.arange(1, 201, dtype=np.float32), rate=100, start=0.5)
    window = sound.window(start, seconds)
    assert len(window) == round(seconds * 100)
    for at, value in enumerate(window):
        number = at + round((start - 0.5) * 100)
        assert value == (number + 1 if 0 <= number < 200 else 0)


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1.0), (-5, 1.0), (16000, 0.0)])
def test_senseless_requests_are_refused(recorder: Any, rate: int, seconds: float) -> None:
    path = recorder.sound("a.wav", codec="pcm_s16le", pictures_at=None)
    with pytest.raises(MienError, match=r"not positive|hold no sample"):
        list(sound_chunks(path, rate, seconds))


def test_mono_of_packed_and_planar_frames() -> None:
    values = np.array([[0.5, -0.25, 0.0], [0.0, 0.25, 1.0]], np.float32)
    broken = av.AudioFrame.from_ndarray(np.array([[np.nan, np.inf, 1.0]], np.float32), format="fltp", layout="mono")
    np.testing.assert_array_equal(mono(broken), [0, 0, 1])
    planar = av.AudioFrame.from_ndarray(values, format="fltp", layout="stereo")
    packed = av.AudioFrame.from_ndarray(values.T.reshape(1, -1).copy(), format="flt", layout="stereo")
    np.testing.assert_allclose(mono(planar), [0.25, 0.0, 0.5])
    np.testing.assert_allclose(mono(packed), [0.25, 0.0, 0.5])
