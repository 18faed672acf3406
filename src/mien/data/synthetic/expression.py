"""What a face does over time: expressions with onset, apex and offset, speech, blinks, and the turning of the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mien.data.synthetic.identity import Array
from mien.data.synthetic.units import CLASSES, INDEX, UNITS, affect, pattern

# Seconds from nothing to the apex, as (shortest, longest): surprise and fear break out, sadness creeps in.
ONSETS: dict[str, tuple[float, float]] = {
    "happiness": (0.35, 0.7),
    "sadness": (0.6, 1.0),
    "surprise": (0.15, 0.3),
    "fear": (0.2, 0.45),
    "disgust": (0.3, 0.6),
    "anger": (0.3, 0.7),
}
TURN_SPREAD = (0.07, 0.04, 0.025)  # radians by which people's heads are turned at rest: yaw, pitch, roll
UPPER = (1, 2, 4, 5, 6, 7)  # units that may lead or follow the rest of the face


@dataclass(frozen=True)
class Speech:
    """Syllables of a voice.

    Attributes:
        start, length: seconds, ``(N,)``.
        loudness: 0..1; ``vowel``: position in ``mien.data.synthetic.voice.VOWELS``.
    """

    start: NDArray[np.float64]
    length: NDArray[np.float64]
    loudness: NDArray[np.float64]
    vowel: NDArray[np.int64]


@dataclass(frozen=True)
class Performance:
    """One stretch of a person's behaviour at every frame.

    Attributes:
        times: ``(T,)`` seconds.
        units: ``(T, K, 2)`` all that the face shows, image left and right, 0..1.
        affect: ``(T, 2)`` valence and arousal of the expression alone.
        turn: ``(T, 3)`` yaw, pitch, roll in radians; ``place``: ``(T, 3)`` x, y, scale relative to the resting place.
        gaze: ``(T, 2)``.
        speech: what is said.
    """

    times: NDArray[np.float64]
    units: Array
    affect: NDArray[np.float64]
    turn: Array
    place: Array
    gaze: Array
    speech: Speech


@dataclass(frozen=True)
class Event:
    """One expression: when it starts, how long it rises, stays and falls (seconds), and how strong it is."""

    label: str
    start: float
    rise: float
    hold: float
    fall: float
    strength: float


def _ease(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth step from 0 to 1 for ``x`` in 0..1."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def envelope(event: Event, times: NDArray[np.float64], lag: float = 0.0) -> NDArray[np.float64]:
    """Activation 0..strength of an event at ``times``, ``lag`` seconds late."""
    since = times - event.start - lag
    return event.strength * np.minimum(
        _ease(since / event.rise), 1.0 - _ease((since - event.rise - event.hold) / event.fall)
    )


def draw_event(rng: Generator, label: str, seconds: float, intensity: tuple[float, float]) -> Event:
    """An expression of class ``label`` that rises and is seen within ``seconds``."""
    fastest, slowest = ONSETS[label]
    rise = rng.uniform(fastest, slowest)
    start = rng.uniform(0.15, max(0.16, min(0.4, 0.7 - rise / seconds))) * seconds
    return Event(label, start, rise, rng.uniform(0.9, 1.8), rng.uniform(0.4, 0.8), rng.uniform(*intensity))


def expressed(rng: Generator, event: Event, times: NDArray[np.float64]) -> Array:
    """Units ``(T, K, 2)`` of an expression: units vary in strength, start a little apart, and are not quite even."""
    rises = np.zeros((len(times), len(UNITS), 2), np.float32)
    shape = pattern(event.label) * rng.uniform(0.75, 1.15, len(UNITS))
    lead = rng.uniform(-0.08, 0.08)
    for unit, place in INDEX.items():
        lag = (lead if unit in UPPER else -lead) + rng.uniform(-0.03, 0.03)
        uneven = rng.normal(0.0, 0.08)
        curve = shape[place] * envelope(event, times, lag)
        rises[:, place, 0], rises[:, place, 1] = curve * (1.0 + uneven), curve * (1.0 - uneven)
    if event.label == "fear":
        tremble = 1.0 + 0.12 * np.sin(2 * np.pi * rng.uniform(6.0, 8.0) * times + rng.uniform(0, 6.3))
        rises *= tremble[:, None, None]
    return rises


def draw_rest(rng: Generator, strength: tuple[float, float]) -> Array:
    """Units ``(K, 2)`` of a face at rest that looks like some expression without being one."""
    label = CLASSES[int(rng.integers(1, len(CLASSES)))]
    units = np.repeat(pattern(label)[:, None], 2, axis=1) * rng.uniform(*strength)
    units[[INDEX[25], INDEX[26]]] = 0.0
    return cast(Array, (units * rng.uniform(0.7, 1.2, units.shape[:1])[:, None]).astype(np.float32))


def draw_speech(rng: Generator, seconds: float) -> Speech:
    """Syllables in phrases, about four and a half a second, with pauses."""
    rate, time = rng.uniform(3.8, 5.2), rng.uniform(0.0, 0.4)
    starts, lengths = [], []
    while time < seconds - 0.12:
        length = rng.uniform(0.75, 1.25) / rate
        starts.append(time)
        lengths.append(min(length, seconds - time))
        time += length + (rng.uniform(0.25, 0.7) if rng.random() < 0.15 else 0.0)
    count = len(starts)
    loudness = rng.uniform(0.55, 1.0, count)
    return Speech(np.array(starts), np.array(lengths), loudness, rng.integers(0, 5, count))


def spoken(speech: Speech, times: NDArray[np.float64]) -> Array:
    """Units ``(T, K)`` of the talking mouth: it opens with every syllable."""
    units = np.zeros((len(times), len(UNITS)), np.float32)
    opening = np.array([1.0, 0.65, 0.35, 0.75, 0.4])  # a, e, i, o, u
    spread = np.array([0.0, 0.2, 0.4, -0.1, -0.2])
    for start, length, loudness, vowel in zip(speech.start, speech.length, speech.loudness, speech.vowel, strict=True):
        phase = np.clip((times - start) / length, 0.0, 1.0)
        open_ = loudness * np.sin(np.pi * phase) ** 1.5
        units[:, INDEX[25]] += 0.8 * open_
        units[:, INDEX[26]] += 0.5 * opening[vowel] * open_
        units[:, INDEX[20]] += max(0.0, spread[vowel]) * 0.5 * open_
    return units


def _blinks(rng: Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
    closed = np.zeros_like(times)
    time = rng.uniform(-1.0, 2.5)
    while time < times[-1]:
        closed = np.maximum(closed, np.exp(-(((times - time) / 0.075) ** 4)))
        time += rng.uniform(1.2, 4.0)
    return closed


def _drift(rng: Generator, times: NDArray[np.float64], sizes: tuple[float, ...], slowest: float = 4.0) -> Array:
    """Slow wandering ``(T, len(sizes))`` with standard deviation about ``sizes``, made of three sine waves each."""
    periods = rng.uniform(slowest / 3, slowest, (3, len(sizes)))
    phases = rng.uniform(0, 2 * np.pi, (3, len(sizes)))
    waves = np.sin(2 * np.pi * times[:, None, None] / periods + phases) * np.array([0.8, 0.5, 0.3])[:, None]
    return cast(Array, (waves.sum(1) * np.array(sizes)).astype(np.float32))


def perform(
    rng: Generator,
    events: list[Event],
    rest: Array,
    times: NDArray[np.float64],
    motion: float = 1.0,
    speech: Speech | None = None,
) -> Performance:
    """Everything a person does at ``times`` while showing ``events`` over a resting face ``rest`` ``(K, 2)``.

    What is at rest and what is expressed share the room that a muscle has: the sum is bent at 1. ``speech`` is drawn
    where it is not given.
    """
    shown = np.zeros((len(times), len(UNITS), 2), np.float32)
    for event in events:
        shown = np.maximum(shown, expressed(rng, event, times))
    speech = speech or draw_speech(rng, float(times[-1]))
    units = rest[None] + shown
    units += spoken(speech, times)[:, :, None]
    units = 1.15 * np.tanh(units / 1.15)
    closed = _blinks(rng, times)
    units[:, INDEX[43]] = closed[:, None]
    felt = affect(shown.mean(axis=2))
    turn = _drift(rng, times, (0.10, 0.05, 0.04)) * motion
    turn += rng.normal(0.0, TURN_SPREAD).astype(np.float32)
    turn[:, 1] -= (0.03 * felt[:, 1]).astype(np.float32)
    place = _drift(rng, times, (0.02, 0.02, 0.015)) * motion
    gaze = _drift(rng, times, (0.18, 0.1), slowest=2.5) + rng.normal(0, 0.1, 2).astype(np.float32)
    return Performance(times, np.clip(units, 0.0, 1.2).astype(np.float32), felt, turn, place, gaze, speech)
