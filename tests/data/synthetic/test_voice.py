from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data.seeding import generator
from mien.data.synthetic.expression import Speech, draw_speech
from mien.data.synthetic.identity import draw_identity
from mien.data.synthetic.voice import LOUDNESS_RANGE, PITCH_RANGE, speak

RATE = 16000
TIMES = np.arange(0, 3, 1 / 25)
FACE = draw_identity(generator(5, "test"))
SPEECH = draw_speech(generator(6, "test"), 3.0)


def voice(arousal: float, speech: Speech = SPEECH) -> NDArray[np.float32]:
    return speak(FACE, speech, TIMES, np.full(len(TIMES), arousal), RATE, 3 * RATE, generator(7, "test"))


def pitch_of(sound: NDArray[np.float32]) -> float:
    """Median fundamental over time as librosa's pYIN finds it."""
    import librosa

    track, voiced, _ = librosa.pyin(sound, fmin=70, fmax=500, sr=RATE)
    return float(np.nanmedian(track[voiced]))


def test_pitch_follows_arousal() -> None:
    calm, excited = pitch_of(voice(0.0)), pitch_of(voice(0.8))
    assert calm == pytest.approx(FACE.pitch, rel=0.06)
    assert 12 * np.log2(excited / calm) == pytest.approx(0.8 * PITCH_RANGE, abs=0.7)


def test_energy_follows_arousal() -> None:
    quiet, loud = (np.sqrt(np.mean(voice(arousal) ** 2)) for arousal in (-0.5, 0.5))
    assert 20 * np.log10(loud / quiet) == pytest.approx(LOUDNESS_RANGE, abs=2.5)


def test_the_voice_is_heard_only_during_syllables() -> None:
    speech = Speech(np.array([1.0]), np.array([0.4]), np.array([1.0]), np.array([0]))
    sound = voice(0.0, speech)
    inside = np.sqrt(np.mean(sound[int(1.1 * RATE) : int(1.3 * RATE)] ** 2))
    outside = np.sqrt(np.mean(sound[int(2.0 * RATE) :] ** 2))
    assert inside > 10 * outside


def test_silence_without_speech() -> None:
    none = Speech(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    assert np.abs(voice(0.5, none)).max() < 0.02
