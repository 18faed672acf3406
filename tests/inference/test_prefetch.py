from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.waiting import PATIENCE

from mien.inference.prefetch import prefetch
from mien.inference.stopwatch import Stopwatch


def test_items_come_in_order() -> None:
    assert list(prefetch(iter(range(1000)), Stopwatch())) == list(range(1000))


def test_errors_come_out_after_the_items_before_them() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    found = prefetch(items(), Stopwatch())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_it_runs_ahead_by_no_more_than_asked() -> None:
    made = []
    full = threading.Event()

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            if i == 4:
                full.set()
            yield i

    found = prefetch(items(), Stopwatch(), ahead=4)
    assert next(found) == 0
    assert full.wait(PATIENCE)
    assert max(made) <= 6
    found.close()


def test_stopping_early_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    found = prefetch(items(), Stopwatch(), ahead=2)
    next(found)
    found.close()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "mien-decode"]
