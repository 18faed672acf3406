"""The errors that users see. Each is one clear line: the value, the rule it broke, the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MienError(Exception):
    """Work that could not be done: a damaged video, a checkpoint that does not fit. The command exits with 1."""

    exit_code = 1


class UsageError(MienError):
    """A request that makes no sense as given: an unknown option, recipe key or model. The command exits with 2."""

    exit_code = 2


class OutOfMemory(MienError):
    """Memory of this machine or of a device ran out (``mien.memory``)."""


def nearest(wanted: str, known: Iterable[str], most: int = 1) -> str:
    """The remedy for a name that is not known: up to ``most`` near ones, or all there are where none is near."""
    known = list(known)
    near = difflib.get_close_matches(wanted, known, n=most)
    return f"did you mean {', '.join(near)}?" if near else f"choose from {', '.join(sorted(known))}"
