"""Asked to stop (ctrl-C, SIGTERM): note it, finish the step, and leave a checkpoint behind."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from mien.errors import MienError


class Stopped(MienError):
    """Training stopped because it was asked to; the command exits with 128 + the signal's number."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


class StopSignals:
    """While entered, SIGINT and SIGTERM are noted in ``received``; a second one of them ends the process at once.

    Python hands signals to the main thread only; elsewhere nothing is installed and ``received`` stays 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        # the next one takes its usual way, for when the step itself hangs
        for other, handler in self._previous.items():
            signal.signal(other, handler)
        self._previous = {}
