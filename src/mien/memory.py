"""Memory that a process keeps for its next work in place of handing it back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, from malloc.h


def keep_freed_memory(limit: int, largest: int = 2**25) -> None:
    """Let this process keep up to ``limit`` bytes that it has freed, of pieces up to ``largest`` bytes.

    By default glibc hands large tensors back to the system as soon as they are freed, and the system zeroes the same
    pages again for the next ones: a third of the time of a loader's process, a tenth of that of a training step. It
    holds for the rest of the process; with other C libraries nothing happens. Limits are below 2 GiB.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MMAP_THRESHOLD, largest)
        libc.mallopt(_TRIM_THRESHOLD, limit)
