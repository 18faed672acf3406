"""Sound beside the pictures: a stretch of it at any moment, read as a stream."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mien.media import LIMITS, Clip, Limits, Sound, sound_chunks

_PIECE = 5.0  # seconds read at a time


class Hearing:
    """The sound of a recording, moving forward with what asks for it.

    Args:
        source: the recording, or None where ``hear`` is told what there is.
        rate: samples per second.
        limits: what to refuse.
    """

    def __init__(self, source: str | os.PathLike[str] | None, rate: int, limits: Limits = LIMITS) -> None:
        self.rate = rate
        self._chunks: Iterator[Sound] = (
            iter(()) if source is None else sound_chunks(source, rate, _PIECE, limits=limits)
        )
        self._held: deque[Sound] = deque()
        self._over = False

    def __enter__(self) -> Hearing:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def hear(self, piece: Sound) -> None:
        """Take the next piece of sound that comes in while the recording is under way."""
        self._held.append(piece)

    def forget(self, before: float) -> None:
        """Nothing before this moment will be asked for any more."""
        while self._held and self._held[0].end <= before:
            self._held.popleft()

    def between(self, start: float, end: float) -> Sound | None:
        """Sound with ``start <= time < end`` as far as there is any; None where there is none."""
        while not self._over and (not self._held or self._held[-1].end < end):
            piece = next(self._chunks, None)
            self._over = piece is None
            if piece is not None and piece.end > start:
                self._held.append(piece)
        parts = [cut for piece in self._held if (cut := _cut(piece, start, end)) is not None]
        if not parts:
            return None
        return Sound(np.concatenate([part.samples for part in parts]), self.rate, parts[0].start)

    def give(self, clip: Clip, start: float, end: float) -> Clip:
        """The clip with the sound of ``[start, end)``; without where there is none."""
        sound = self.between(start, end)
        if sound is None:
            return clip
        return replace(clip, sound=sound.samples, sound_rate=self.rate, sound_start=sound.start)


def _cut(piece: Sound, start: float, end: float) -> Sound | None:
    first = max(round((start - piece.start) * piece.rate), 0)
    last = min(round((end - piece.start) * piece.rate), len(piece.samples))
    if last <= first:
        return None
    return Sound(piece.samples[first:last], piece.rate, piece.start + first / piece.rate)
