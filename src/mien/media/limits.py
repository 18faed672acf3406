"""Limits on what a recording may ask of the machine, and the clock that holds the last of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mien.errors import MienError


@dataclass(frozen=True)
class Limits:
    """The most that one recording may ask for; whatever asks for more is refused with one line.

    Attributes:
        bytes: size of the file.
        duration: length of picture and sound in seconds.
        frames: number of pictures.
        pixels: pixels of one picture as stored.
        seconds: wall-clock seconds that one reader may spend inside mien on a recording (a consumer's own time between
            two frames does not count).
    """

    bytes: int = 32 * 1024**3
    duration: float = 12 * 3600.0
    frames: int = 3_000_000
    pixels: int = 8192 * 4608
    seconds: float = 2 * 3600.0

    def check(self, path: str, name: str, value: float, unit: str) -> None:
        """Raise MienError where ``value`` is above the limit called ``name``."""
        limit = getattr(self, name)
        if value > limit:
            raise MienError(f"{path}: {value:,.10g} {unit}, over the limit of {limit:,.10g}; see Limits({name}=...)")


LIMITS = Limits()


class WorkClock:
    """Counts the wall-clock seconds spent on one recording; refuses to go on above ``limits.seconds``."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self._spent = 0.0
        self._since: float | None = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """Time inside this block counts; blocks nest."""
        if self._since is not None:
            yield
            return
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - self._since
            self._since = None

    def check(self) -> None:
        """Raise MienError once the limit is passed."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        self.limits.check(self.path, "seconds", self._spent + running, "seconds of work")
