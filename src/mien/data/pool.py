"""Work over processes that survives a crash in native code and leaves no process behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TypeVar

from mien.errors import UsageError
from mien.processes import end_after

T = TypeVar("T")
R = TypeVar("R")


def map_processes(
    work: Callable[[T], R], tasks: Sequence[T], jobs: int, crashed: Callable[[T], R]
) -> Iterator[tuple[T, R]]:
    """Results of ``work(task)`` as they come, from ``jobs`` processes (in this process for one).

    A task whose process dies (a crash in a decoder, out of memory) is tried once more with a process of its own; if
    that dies too, ``crashed(task)`` is its result. Children end when this process does, even when it is killed.
    ``work`` must be importable: processes are started afresh ("spawn"), so scripts need the usual
    ``if __name__ == "__main__"``.
    """
    if jobs < 1:
        raise UsageError(f"{jobs} processes cannot work; give 1 or more")
    if jobs == 1 or not tasks:
        for task in tasks:
            yield task, work(task)
        return
    remaining, suspects = list(tasks), list[T]()
    while remaining:
        finished, broken = 0, list[T]()
        for pair in _until_broken(work, remaining, jobs, broken):
            finished += 1
            yield pair
        suspects += broken
        remaining = remaining[finished + len(broken) :]
    for task in suspects:
        lost = list[T]()
        yield from _until_broken(work, [task], 1, lost)
        yield from ((task, crashed(task)) for task in lost)


def _until_broken(work: Callable[[T], R], tasks: list[T], jobs: int, broken: list[T]) -> Iterator[tuple[T, R]]:
    """Results in order of completion; when a process dies, all tasks under way go to ``broken`` and it ends.

    Tasks are handed out in order and few ahead: those neither finished nor in ``broken`` are the tail of the list.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), multiprocessing.get_context("spawn"), _start)
    pending: dict[Future[R], T] = {}
    waiting = iter(tasks)
    try:
        while True:
            while len(pending) < 2 * jobs and (task := next(waiting, None)) is not None:
                pending[pool.submit(work, task)] = task
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield pending.pop(future), result
    except BrokenProcessPool:  # told by a result, or by the pool as it is given more
        broken += pending.values()
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Set up a process: one thread for small networks, interrupts left to the parent, and an end when it ends."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for torch, where the work comes to import it
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel
    end_after(lambda: connection.wait([sentinel]))
