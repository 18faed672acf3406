"""A voice without words: harmonics under the formants of vowels, whose pitch and energy follow arousal."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mien.data.synthetic.expression import Speech
from mien.data.synthetic.identity import Identity

# First three formants in Hz of a, e, i, o, u as a man speaks them (Peterson & Barney 1952, rounded).
VOWELS = np.array([[730, 1090, 2440], [530, 1840, 2480], [270, 2290, 3010], [570, 840, 2410], [300, 870, 2240]], float)
WIDTHS = np.array([90.0, 110.0, 170.0])
PITCH_RANGE = 7.0  # semitones that full arousal lifts the pitch
LOUDNESS_RANGE = 8.0  # dB that full arousal lifts the energy


def _per_sample(speech: Speech, clock: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loudness ``(S,)`` and formants ``(S, 3)`` at every sample."""
    loud = np.zeros_like(clock)
    for start, length, loudness in zip(speech.start, speech.length, speech.loudness, strict=True):
        phase = (clock - start) / length
        inside = (phase > 0) & (phase < 1)
        loud[inside] = np.maximum(loud[inside], loudness * np.sin(np.pi * phase[inside]) ** 0.8)
    middles = speech.start + speech.length / 2
    formants = np.stack([np.interp(clock, middles, VOWELS[speech.vowel, k]) for k in range(3)], axis=1)
    return loud, formants


def speak(
    face: Identity,
    speech: Speech,
    times: NDArray[np.float64],
    arousal: NDArray[np.float64],
    rate: int,
    samples: int,
    rng: Generator,
) -> NDArray[np.float32]:
    """Mono sound float32 ``(samples,)`` in -1..1 of a person saying ``speech`` with ``arousal`` ``(T,)`` at ``times``.

    The pitch moves by ``PITCH_RANGE`` semitones and the energy by ``LOUDNESS_RANGE`` dB per unit of arousal.
    """
    clock = np.arange(samples) / rate
    room = rng.normal(0.0, 0.002, samples)
    if not len(speech.start):
        return room.astype(np.float32)
    loud, formants = _per_sample(speech, clock)
    excited = np.interp(clock, times, arousal)
    melody = 0.8 * np.sin(2 * np.pi * clock / rng.uniform(0.7, 1.6) + rng.uniform(0, 6.3))
    pitch = face.pitch * 2.0 ** ((PITCH_RANGE * excited + melody) / 12.0)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = formants * face.tract
    sound = np.zeros(samples)
    for harmonic in range(1, int(min(4000.0, rate / 2) / face.pitch)):
        frequency = harmonic * pitch
        gain = (1.0 / (1.0 + ((frequency[:, None] - formants) / WIDTHS) ** 2)).sum(axis=1) / harmonic**0.8
        sound += np.where(frequency < 0.45 * rate, gain, 0.0) * np.sin(harmonic * phase)
    breath = rng.normal(0.0, 0.03, samples)
    level = 10.0 ** (LOUDNESS_RANGE * (excited - 1.0) / 20.0)
    return np.clip(0.3 * (sound + breath) * loud * level + room, -1.0, 1.0).astype(np.float32)
