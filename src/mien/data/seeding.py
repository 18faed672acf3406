"""Random choices as pure functions of what they are for: no global generator that a worker could disturb."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np


class Draws(Protocol):
    """The part of ``numpy.random.Generator`` that published draws are repeated with, so that others can stand in."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...

    def uniform(self, low: float, high: float, /) -> float:
        """Uniform in [low, high)."""
        ...

    def beta(self, a: float, b: float, /) -> float:
        """Of the beta distribution with shapes a and b, both above 0."""
        ...

    def integers(self, high: int, /) -> Any:
        """An integer in 0..high - 1."""
        ...


def generator(seed: int, purpose: str, *keys: int | str) -> np.random.Generator:
    """Generator that depends on its arguments alone.

    Args:
        seed: seed of the run.
        purpose: what is drawn ("order", "window", ...), so that two uses of the same keys stay independent.
        keys: epoch, id of the item, repeat, ... as the purpose needs.

    Returns:
        PCG64 generator seeded with the SHA-256 of all arguments: equal arguments give equal draws on every machine.
    """
    text = "\x1f".join([str(int(seed)), purpose, *(f"{type(key).__name__}:{key}" for key in keys)])
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
