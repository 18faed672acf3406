"""Waiting for what other processes do, and not for a time in which they should have done it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0  # seconds; only a fault takes as long, also on a machine that is slow and busy


def soon(true: Callable[[], object]) -> bool:
    """Whether something becomes true, asked again and again for as long as ``PATIENCE`` lasts."""
    until = time.monotonic() + PATIENCE
    while not (came := bool(true())) and time.monotonic() < until:
        time.sleep(0.01)
    return came


def runs(pid: int) -> bool:
    """Whether a process is at work; one that has ended may stay listed until somebody asks how (needs ``/proc``)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
