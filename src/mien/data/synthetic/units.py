"""Facial action units, the seven classes as patterns of units, and valence and arousal derived from units.

Units and patterns follow the Facial Action Coding System (Ekman & Friesen 1978) and its emotion predictions (EMFACS).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# FACS number → position in every array of units.
UNITS: tuple[int, ...] = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 23, 25, 26, 43)
INDEX: dict[int, int] = {unit: position for position, unit in enumerate(UNITS)}

CLASSES: tuple[str, ...] = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")

# Strength of every unit at the apex of a full expression.
PATTERNS: dict[str, dict[int, float]] = {
    "neutral": {},
    "happiness": {6: 0.8, 12: 1.0, 25: 0.3},
    "sadness": {1: 0.9, 4: 0.5, 15: 1.0, 17: 0.6},
    "surprise": {1: 0.9, 2: 1.0, 5: 0.8, 25: 0.5, 26: 0.7},
    "fear": {1: 0.8, 2: 0.5, 4: 0.6, 5: 0.9, 20: 1.0, 25: 0.4},
    "disgust": {4: 0.3, 6: 0.2, 9: 1.0, 10: 0.9, 17: 0.3},
    "anger": {4: 1.0, 5: 0.3, 7: 0.8, 23: 1.0, 17: 0.3},
}

# (valence, arousal) of a full expression on Russell's circumplex; both run from -1 to 1 and neutral is (0, 0).
CIRCUMPLEX: dict[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "happiness": (0.8, 0.5),
    "sadness": (-0.7, -0.5),
    "surprise": (0.2, 0.8),
    "fear": (-0.6, 0.7),
    "disgust": (-0.7, 0.3),
    "anger": (-0.6, 0.8),
}


def pattern(name: str) -> NDArray[np.float32]:
    """Units ``(K,)`` in 0..1 at the apex of class ``name``."""
    units = np.zeros(len(UNITS), np.float32)
    for unit, strength in PATTERNS[name].items():
        units[INDEX[unit]] = strength
    return units


def _affect_weights() -> NDArray[np.float64]:
    """``(K, 2)``: the smallest linear map that puts every full expression on its place in the circumplex."""
    expressive = [name for name in CLASSES if PATTERNS[name]]
    patterns = np.stack([pattern(name) for name in expressive]).astype(np.float64)
    weights: NDArray[np.float64] = np.linalg.pinv(patterns) @ np.array([CIRCUMPLEX[name] for name in expressive])
    return weights


AFFECT_WEIGHTS = _affect_weights()


def affect(units: NDArray[np.float32]) -> NDArray[np.float64]:
    """Valence and arousal ``(T, 2)`` in -1..1 of units ``(T, K)`` that belong to an expression.

    The map is linear, so half an expression has half the valence and arousal. Units that a person shows for other
    reasons (the face at rest, speech, blinks) are not part of ``units`` and have no affect.
    """
    return np.clip(units.astype(np.float64) @ AFFECT_WEIGHTS, -1.0, 1.0)
