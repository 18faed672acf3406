"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def soon(true: Callable[[], bool], seconds: float) -> bool:
    """Whether something becomes true in that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.05)
    return False
