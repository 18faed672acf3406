"""Streaming: rows come while the recording is still being read, and nothing piles up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mien.checkpoints.bundle import Bundle
from mien.faces import CropRecipe, TrackedFace, TrackedFrame
from mien.inference.forward import Batches, Predictor
from mien.inference.grid import regular_grid
from mien.inference.persons import Span
from mien.inference.recording import Recording
from mien.inference.settings import PredictSettings
from mien.inference.stopwatch import Stopwatch
from mien.inference.timeline import Rows

COUNT = 3000
BOX = np.array([8.0, 8, 24, 24])


@pytest.fixture
def recording(meter: Callable[..., Bundle]) -> Iterator[Recording]:
    settings = PredictSettings(batch=2, threads=1)
    bundle = meter(crop=CropRecipe(size=16, margin=0.0))
    clock = Stopwatch()
    batches: Batches[Span] = Batches(Predictor(bundle, settings), settings, clock)
    grid = regular_grid(np.arange(COUNT) / 25, COUNT / 25, 0.2)
    yield Recording(bundle.specification.inputs, grid, batches, 1, settings, None, clock)
    batches.close()


def test_rows_come_as_soon_as_they_are_final(recording: Recording) -> None:
    read = 0

    def frames() -> Iterator[TrackedFrame]:
        nonlocal read
        image = np.full((32, 32, 3), 128, np.uint8)
        for index in range(COUNT):
            read = index
            yield TrackedFrame(index, index / 25, image, (TrackedFace(0, BOX, 0.9, None, "detected"),))

    late = []
    ends: list[float] = []
    for block in recording.rows(frames(), lambda done, total: None):
        assert isinstance(block, Rows)
        late.append(read / 25 - block.end[0])
        ends.extend(block.end)
    assert ends == sorted(ends)
    assert len(ends) == COUNT / 5
    # a window of 0.64 s, half of one until the next, batches of two and at most three of them under way
    assert max(late) < 0.64 + 0.32 * 2 * 4
    person = recording.persons[0]
    assert len(person.rows._weight) <= 10
    assert len(person.rows._seen) <= 60


def test_many_passers_by_leave_nothing_but_their_rows(recording: Recording) -> None:
    """A new face every second; each is gone after half of it."""

    def frames() -> Iterator[TrackedFrame]:
        image = np.full((32, 32, 3), 128, np.uint8)
        for index in range(COUNT):
            there = index % 25 < 12
            faces = (TrackedFace(index // 25, BOX, 0.9, None, "detected"),) if there else ()
            yield TrackedFrame(index, index / 25, image, faces)

    rows = list(recording.rows(frames(), lambda done, total: None))
    assert {block.track for block in rows} == set(range(COUNT // 25))
    for track in range(COUNT // 25):
        own = [block for block in rows if block.track == track]
        assert sum(float((block.end - block.start).sum()) for block in own) == pytest.approx(12 / 25)
    for person in recording.persons.values():
        assert person.stretch is None
        assert len(person.rows._weight) <= 10
