"""Decoding ahead on a thread of its own, a few pictures at most."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

from mien.inference.stopwatch import Stopwatch

Item = TypeVar("Item")


@dataclass(frozen=True)
class _End:
    """No more items, or the error that ended them."""

    error: BaseException | None = None


def prefetch(items: Iterator[Item], clock: Stopwatch, ahead: int = 8) -> Generator[Item]:
    """The same items, made on another thread while the caller works; never more than ``ahead`` wait.

    Errors come out where the item would have. When the caller stops early the thread ends and closes ``items``.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(ahead)
    stop = threading.Event()

    def offer(item: Item | _End) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            while True:
                with clock("decode"):
                    item = next(items, None)
                if item is None or not offer(item):
                    break
            offer(_End())
        except BaseException as error:  # whatever it is belongs to the caller
            offer(_End(error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="mien-decode", daemon=True)
    thread.start()
    try:
        while True:
            with clock("wait"):
                given = waiting.get()
            if isinstance(given, _End):
                if given.error is not None:
                    raise given.error
                return
            yield given
    finally:
        stop.set()
        thread.join()
