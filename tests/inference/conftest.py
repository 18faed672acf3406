"""A timeline with every case in it: two faces, a gap, nobody."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mien.inference.timeline import NOBODY, TRACK_COLUMNS, FileInfo, Rows, Timeline, make_timeline

CLASSES = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")


def some_rows(track: int, first: int, last: int, width: int, seed: int, unseen: tuple[int, ...] = ()) -> Rows:
    """Rows of 0.2 s from ``first`` to ``last``; probabilities that drift, NaN at the rows in ``unseen``."""
    start = np.arange(first, last) * 0.2
    logits = np.cumsum(np.random.default_rng(seed).normal(size=(last - first, width)), axis=0) / 2
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    face = np.ones(last - first)
    gone = [i - first for i in unseen]
    values[gone], face[gone] = np.nan, 0.0
    used = ["" if i in gone else "video" for i in range(last - first)]
    return Rows(track, start, start + 0.2, values, face, used)


def boxes(file: str) -> pd.DataFrame:
    rows = [
        (file, 0, 0.0, 10, 10, 60, 60, 0.9),
        (file, 0, 9.0, 20, 10, 70, 60, 0.9),
        (file, 1, 4.0, 90, 9, 99, 20, 0.8),
    ]
    return pd.DataFrame(rows, columns=list(TRACK_COLUMNS)).astype(
        {"file": "str"} | dict.fromkeys(TRACK_COLUMNS[2:], float)
    )


@pytest.fixture
def make_rows() -> Callable[..., Rows]:
    return some_rows


@pytest.fixture
def classified() -> Timeline:
    """12 s: face 0 from 0 to 9 s with a gap, face 1 from 4 to 9 s, nobody from 9 to 12 s."""
    nobody = some_rows(NOBODY, 45, 60, 7, 0, tuple(range(45, 60)))
    blocks = [some_rows(0, 0, 45, 7, 1, (20, 21)), nobody, some_rows(1, 20, 45, 7, 2)]
    info = FileInfo("talk.mp4", 12.0, 640, 360, 25.0, True)
    return make_timeline(
        {"talk.mp4": blocks}, "classification", CLASSES, {"talk.mp4": info}, boxes("talk.mp4"), "test", 0.2
    )


@pytest.fixture
def circumplex() -> Timeline:
    """6 s of valence and arousal of one face."""
    block = some_rows(0, 0, 30, 2, 3, (4,))
    block.values = 2 * block.values - 1
    info = {"a,b.mp4": FileInfo("a,b.mp4", 6.0)}
    return make_timeline({"a,b.mp4": [block]}, "valence_arousal", ("valence", "arousal"), info, model="test", step=0.2)
