"""What extractors are given of one clip: pictures at chosen moments and sound, read once for all of them."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mien.data.manifest import Row
from mien.data.sources import FrameSource, files_of, open_frames
from mien.errors import MienError
from mien.extraction.timing import STEPS, frame_choice, sound_windows
from mien.media import Sound, read_sound

RATE = 16000


class Material:
    """One clip of a corpus.

    Args:
        row: where it is.
        steps: moments at which features are taken.
    """

    def __init__(self, row: Row, steps: int = STEPS) -> None:
        self.row = row
        self.steps = steps

    @cached_property
    def clock(self) -> NDArray[np.float64]:
        """Times ``(N,)`` of all frames of the clip."""
        with open_frames(self.row) as source:
            return np.asarray(source.times[self._inside(source)])

    @cached_property
    def frames(self) -> NDArray[np.uint8]:
        """Pictures at ``steps`` moments: uint8 ``(steps, H, W, 3)``."""
        return self.windows(np.zeros(1, dtype=np.int64))[:, 0]

    @property
    def times(self) -> NDArray[np.float64]:
        """Times of ``frames`` in seconds."""
        return self.clock[frame_choice(len(self.clock), self.steps)]

    def windows(self, offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pictures around each moment, ``offsets`` frames from it: ``(steps, len(offsets), H, W, 3)``."""
        with open_frames(self.row) as source:
            inside = self._inside(source)
            wanted = np.clip(frame_choice(len(inside), self.steps)[:, None] + offsets, 0, len(inside) - 1)
            unique, back = np.unique(wanted, return_inverse=True)
            pictures = source.at_indices(unique + inside[0])
        return pictures[back.reshape(wanted.shape)]

    @cached_property
    def sound(self) -> Sound:
        """Mono sound of the clip at 16 kHz; ``MienError`` where there is none."""
        end = None if math.isinf(self.row.end) else self.row.end
        file = files_of(self.row).sound
        sound = None if file is None else read_sound(file, RATE, self.row.start, end)
        if sound is None or not len(sound.samples):
            raise MienError(f"{self.row.audio or self.row.path}: holds no sound")
        return sound

    def sounds(self) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
        """Sound in ``steps`` windows half over each other, and the times of their middles in seconds."""
        samples, start = self.sound.samples, self.sound.start
        spans = sound_windows(len(samples), self.steps)
        middles = start + (spans[:, 0] + spans[:, 1] / 2) / RATE
        return [samples[first : first + length] for first, length in spans], middles

    def _inside(self, source: FrameSource) -> NDArray[np.int64]:
        row = self.row
        inside = np.flatnonzero((source.times >= row.start - 1e-6) & (source.times < row.end - 1e-6))
        if not len(inside):
            raise MienError(f"{row.path}: no frame between {row.start:g} and {row.end:g} s")
        return inside
