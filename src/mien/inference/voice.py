"""Where no face is to be seen, a model that listens still hears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mien.data.inputs import to_tensors
from mien.inference.average import TrackRows
from mien.inference.forward import Batches
from mien.inference.grid import Grid
from mien.inference.hearing import Hearing
from mien.inference.persons import Span
from mien.inference.recording import add_answer, sounding
from mien.inference.timeline import NOBODY, Rows
from mien.media import Clip
from mien.models.specification import Inputs

_USUAL_RATE = 25.0  # frames per second of recordings that ``stride`` is meant for

Stretches = Sequence[tuple[float, float]]


def uncovered(lives: Stretches, end: float) -> list[tuple[float, float]]:
    """What of ``[0, end)`` no life covers."""
    free, at = [], 0.0
    for first, last in sorted(lives):
        if first > at + 1e-6:
            free.append((at, first))
        at = max(at, last)
    if end > at + 1e-6:
        free.append((at, end))
    return free


def silent_rows(stretches: Stretches, grid: Grid, width: int) -> Iterator[Rows]:
    """Rows without values for spans in which there is nothing to see and nobody listens."""
    for start, end in stretches:
        rows = TrackRows(NOBODY, start, grid, width)
        rows.reach(end)
        block = rows.take(np.inf, last=True)
        if block is not None:
            yield block


def voice_rows(
    stretches: Stretches,
    grid: Grid,
    hearing: Hearing,
    inputs: Inputs,
    batches: Batches[Span],
    width: int,
    window: float,
) -> Iterator[Rows]:
    """Rows of spans without a face, from sound alone: windows half their length apart.

    Args:
        window: seconds of a window for models that take any length.
    """
    assert inputs.sound is not None
    seconds = window_seconds(inputs, window)
    for start, end in stretches:
        rows = TrackRows(NOBODY, start, grid, width)
        rows.reach(end)
        for low, high in _windows(start, end, seconds):
            hearing.forget(low)
            sound = hearing.between(low, high)
            if sound is not None:
                clip = Clip(np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0), sound.samples, sound.rate, sound.start)
                batches.put(Span(NOBODY, low, high, (), 0, low, sounding(clip)), to_tensors(clip, inputs))
            yield from _take(rows, batches, everything=False)
        yield from _take(rows, batches, everything=True)
        rest = rows.take(np.inf, last=True)
        if rest is not None:
            yield rest


def window_seconds(inputs: Inputs, window: float) -> float:
    """Seconds of sound that a window without pictures has: as long as one with pictures."""
    if inputs.sound is not None and inputs.sound.options.get("seconds") is not None:
        return float(inputs.sound.options["seconds"])
    if inputs.video is None or inputs.video.frames is None:
        return window
    rate = inputs.video.fps or _USUAL_RATE / (inputs.video.stride or 1)
    return inputs.video.frames / rate


def _windows(start: float, end: float, seconds: float) -> Iterator[tuple[float, float]]:
    """Windows half their length apart; the last one ends with the stretch, which may be shorter than a window."""
    low = start
    while low + seconds < end:
        yield low, low + seconds
        low += seconds / 2
    yield max(start, end - seconds), end


def _take(rows: TrackRows, batches: Batches[Span], everything: bool) -> Iterator[Rows]:
    for span, values in batches.answers(all_of_them=everything):
        assert values is not None
        add_answer(rows, span, values)
        done = rows.take(span.settled)
        if done is not None:
            yield done
