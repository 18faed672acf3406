"""Memory that a process keeps for its next work, and one line for memory that runs out."""

from __future__ import annotations

import ctypes
import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mien.errors import MienError, OutOfMemory

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, from malloc.h
# as torch says it of processors (the last two are oneDNN's), CUDA, MPS and the libraries under them, and OpenCV
_FULL = re.compile(
    r"out of (shared )?memory|(can't|cannot) allocate memory|(not enough|insufficient) memory|_alloc_failed"
    r"|could not create a (primitive|memory object)$",
    re.IGNORECASE,
)
_ASKED = re.compile(r"allocate:? (\d+(?:\.\d+)?) ?(bytes|[KMGTP]i?B)", re.IGNORECASE)


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


@contextmanager
def within_memory(work: str, remedy: str) -> Iterator[None]:
    """Inside, memory that runs out ends the work with one line; ``work`` and ``remedy`` as in ``out_of_memory``.

    Raises:
        OutOfMemory: it ran out.
    """
    try:
        yield
    except Exception as error:
        told = out_of_memory(error, work, remedy)
        if told is None:
            raise
        raise told from error


def out_of_memory(error: BaseException, work: str, remedy: str) -> OutOfMemory | None:
    """What to tell a user of an error where it says that memory ran out; None for all others.

    Args:
        error: of Python, NumPy, torch (on any device) or OpenCV.
        work: what it ran out over, with its size, as in ``with 8 windows at once``.
        remedy: what makes the work smaller.
    """
    if not _ran_out(error):
        return None
    asked = _ASKED.search(str(error))
    more = f" ({_size(*asked.groups())} more were asked for)" if asked else ""
    return OutOfMemory(f"out of memory{more} {work}; {remedy}")


def smaller(batch: int = 1, threads: int = 1, device: str = "cpu", *further: str) -> str:
    """The remedy in options of the command, which are the names of settings too: half of what is done at once, ...

    Args:
        batch: clips, windows or pictures of one forward pass.
        threads: of them that are under way.
        device: where the model runs.
        further: options that help too.
    """
    options = [f"--batch {batch // 2}"] if batch > 1 else []
    options += [f"--threads {threads // 2}"] if threads > 1 else []
    options += [*further, *(["--device cpu"] if device != "cpu" else [])]
    if not options:
        return "close other programs, or take a machine that has more"
    return f"give {' or '.join(filter(None, [', '.join(options[:-1]), options[-1]]))}"


def _ran_out(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    known = isinstance(error, MienError)
    return isinstance(error, MemoryError) or (not known and _FULL.search(str(error)) is not None)


def _size(number: str, unit: str) -> str:
    """Bytes in the largest unit that leaves a number of 1 or more; what comes in a unit stays as it is."""
    if unit.lower() != "bytes":
        return f"{number} {unit}"
    power = min(max(int(number).bit_length() - 1, 0) // 10, 5)
    return f"{int(number) / 2 ** (10 * power):.1f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[power]}"
