"""Reading sound as mono float32 at a wanted rate, on the clock of the picture."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.media.limits import LIMITS, Limits, WorkClock
from mien.media.waveform import SoundSource, resample


@dataclass(frozen=True)
class Sound:
    """A stretch of sound.

    Attributes:
        samples: float32 ``(S,)``, mono (mean of the channels), -1..1 where the recording does not clip.
        rate: samples per second.
        start: seconds at which ``samples[0]`` lies; 0 is the recording's first picture (its first sample of sound
            where there is no picture).
    """

    samples: NDArray[np.float32]
    rate: int
    start: float

    @property
    def end(self) -> float:
        """Seconds at which the sample after the last one would lie."""
        return self.start + len(self.samples) / self.rate

    def window(self, start: float, seconds: float) -> NDArray[np.float32]:
        """float32 ``(round(seconds * rate),)`` from ``start`` on; zeros where there is no sound."""
        window = np.zeros(round(seconds * self.rate), dtype=np.float32)
        offset = round((start - self.start) * self.rate)
        part = self.samples[max(offset, 0) : max(offset + len(window), 0)]
        at = max(-offset, 0)
        window[at : at + len(part)] = part
        return window


def read_sound(
    path: str | os.PathLike[str],
    rate: int = 16000,
    start: float = 0.0,
    end: float | None = None,
    limits: Limits = LIMITS,
) -> Sound | None:
    """Sound of a recording with ``start <= time < end``, as far as there is any.

    Sound that begins late gives ``Sound.start > start``; sound that ends early gives fewer samples; gaps inside are
    zeros. The samples of a stretch are those of the whole recording at the same times, so stretches join without seams.

    Returns:
        None where the recording has no sound; a ``Sound`` of length 0 where it has none between ``start`` and ``end``.

    Raises:
        MienError: the file is missing, damaged beyond reading or over a limit; ``rate`` is not positive.
    """
    source = _open(path, rate, limits)
    if source is None:
        return None
    with source:
        blocks = list(_stretch(source, rate, start, end))
    first = blocks[0][0] if blocks else max(math.ceil((start - source.start) * rate - 1e-6), 0)
    samples = np.concatenate([block for _, block in blocks]) if blocks else np.zeros(0, dtype=np.float32)
    return Sound(samples, rate, source.start + first / rate)


def sound_chunks(
    path: str | os.PathLike[str],
    rate: int = 16000,
    seconds: float = 10.0,
    start: float = 0.0,
    end: float | None = None,
    limits: Limits = LIMITS,
) -> Iterator[Sound]:
    """``read_sound`` in consecutive pieces of ``seconds`` (the last one shorter); memory does not grow with length."""
    source = _open(path, rate, limits)
    length = round(seconds * rate)
    if length < 1:
        raise MienError(f"{path}: pieces of {seconds} s hold no sample at {rate} Hz; give more seconds")
    if source is None:
        return
    with source:
        kept: list[NDArray[np.float32]] = []
        first, held = None, 0
        for at, block in _stretch(source, rate, start, end):
            first = at if first is None else first
            kept.append(block)
            held += len(block)
            while held >= length:
                joined = np.concatenate(kept)
                yield Sound(joined[:length], rate, source.start + first / rate)
                kept, held, first = [joined[length:]], held - length, first + length
        if first is not None and held:
            yield Sound(np.concatenate(kept), rate, source.start + first / rate)


def _open(path: str | os.PathLike[str], rate: int, limits: Limits) -> SoundSource | None:
    if rate < 1:
        raise MienError(f"a sample rate of {rate} Hz is not positive; try 16000")
    return SoundSource.open(path, WorkClock(os.fspath(path), limits))


def _stretch(
    source: SoundSource, rate: int, start: float, end: float | None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Pairs (number of the first sample on the grid ``source.start + k / rate``, samples) between start and end."""
    first = max(math.ceil((start - source.start) * rate - 1e-6), 0)
    stop = None if end is None else math.ceil((end - source.start) * rate - 1e-6)
    if stop is not None and stop <= first:
        return
    # Entering where the wanted grid and the stored one meet keeps the resampler's phase, hence its very numbers.
    step = source.rate // math.gcd(source.rate, rate)
    at, blocks = source.blocks(first / rate, step)
    number = at * rate // source.rate
    for block in resample(blocks, source.rate, rate):
        skip = max(first - number, 0)
        keep = block[skip:] if stop is None else block[skip : max(stop - number, 0)]
        if len(keep):
            yield number + skip, keep
        number += len(block)
        if stop is not None and number >= stop:
            return
