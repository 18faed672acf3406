"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable


def end_after(gone: Callable[[], object], grace: float = 0.0) -> None:
    """End this process once ``gone()`` returns; it blocks in a thread of its own until the parent is no more.

    Args:
        gone: ``parent_is_gone``, or better a read from a pipe whose other end the parent alone holds: the system closes
            it, also when the parent is killed.
        grace: seconds that a process with a handler of SIGTERM gets to stop by itself, as a training does that leaves a
            checkpoint.
    """
    threading.Thread(target=_wait, args=(gone, grace), name="end with the parent", daemon=True).start()


def parent_is_gone(parent: int) -> None:
    """Return once the process ``parent``, which started this one, has ended (not on Windows, which does not tell)."""
    started = multiprocessing.parent_process()  # tells also where the end came before anybody asked for the parent's id
    while os.getppid() == parent and (started is None or started.is_alive()):
        time.sleep(0.2)


def _wait(gone: Callable[[], object], grace: float) -> None:
    gone()
    until, asked = time.monotonic() + grace, False
    while time.monotonic() < until:
        # without a handler it is not, or no longer, waiting to be asked: one that is stopping would be cut off
        if not asked and callable(signal.getsignal(signal.SIGTERM)):
            os.kill(os.getpid(), signal.SIGTERM)
            asked = True
        time.sleep(0.05)
    os._exit(1)
