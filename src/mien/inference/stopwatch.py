"""Seconds spent per stage of the pipeline."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by stage; stages of different threads may overlap, and some lie within others.

    Attributes:
        seconds: wall-clock seconds.
        cpu: processor seconds of the threads that carried the stages (helpers of a multi-threaded torch left out).
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time inside the block counts for ``stage``."""
        begin, begin_cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            spent, spent_cpu = time.perf_counter() - begin, time.thread_time() - begin_cpu
            with self._lock:
                self.seconds[stage] += spent
                self.cpu[stage] += spent_cpu
