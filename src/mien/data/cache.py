"""Decoded frames kept in memory between epochs, for corpora of short clips that fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.data.manifest import Row
from mien.data.sources import FrameSource, open_frames
from mien.errors import MienError

MIB = 2**20


@dataclass
class HeldFrames:
    """All frames of a recording in memory; answers what ``FrameSource`` does."""

    times: NDArray[np.float64]
    size: tuple[int, int]
    pictures: NDArray[np.uint8]

    def at_indices(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Frames ``(T, H, W, 3)``."""
        return self.pictures[np.asarray(indices)]


class FrameCache:
    """Opens rows, and keeps the frames of those read first as long as they fit.

    Nothing is thrown out again: in training every clip is equally likely to come next, so what is held serves as well
    as what would take its place. Every process has a cache of its own.

    Args:
        megabytes: most MiB of frames to hold; 0 holds none.
    """

    def __init__(self, megabytes: int) -> None:
        self._room = megabytes * MIB
        self._held: dict[tuple[Path, float | None], HeldFrames] = {}

    def holds(self, row: Row) -> bool:
        """True where a row's frames are in memory."""
        return (row.path, row.fps) in self._held

    @contextmanager
    def open(self, row: Row) -> Iterator[FrameSource]:
        """As ``open_frames``: frames of a row's file or folder, for the time of a ``with`` block."""
        key = row.path, row.fps
        if key in self._held:
            yield self._held[key]
            return
        with open_frames(row) as source:
            need = len(source.times) * source.size[0] * source.size[1] * 3
            held = self._hold(source) if need <= self._room else None
            if held is not None:
                self._held[key] = held
                self._room -= held.pictures.nbytes
            yield held or source

    @staticmethod
    def _hold(source: FrameSource) -> HeldFrames | None:
        """All frames of a recording; None where one of them is damaged, which may be none of those asked for."""
        try:
            pictures = source.at_indices(np.arange(len(source.times)))
        except MienError:
            return None
        return HeldFrames(source.times, source.size, pictures)
