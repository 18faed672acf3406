"""The errors that users see. Each is one clear line: the value, the rule it broke, the remedy.

What the command exits with follows from whose turn it is (docs/guides/command.md has the table for users):

* 2, ``UsageError``: what somebody typed or wrote has to change. An unknown verb, option, recipe key, model or column;
  a path that is not there, or is another kind of thing than the one that is asked for (a folder for a recording, a
  folder without a bundle for a bundle, a file where a folder is to be made); a recipe, manifest or protocol that says
  what cannot be done.
* 1, ``MienError``: the call is as it should be and the work failed. A damaged recording, bundle or checkpoint, a disk
  that cannot be written, a hub that cannot be reached. Verbs that look for faults exit with 1 where they found some.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MienError(Exception):
    """Work that failed: a damaged video, a checkpoint that does not fit. The command exits with 1."""

    exit_code = 1


class UsageError(MienError):
    """What was asked for cannot be: an unknown option, recipe key or model, a path to nothing. It exits with 2."""

    exit_code = 2


class OutOfMemory(MienError):
    """Memory of this machine or of a device ran out (``mien.memory``)."""


def nearest(wanted: str, known: Iterable[str], most: int = 1) -> str:
    """The remedy for a name that is not known: up to ``most`` near ones, or all there are where none is near."""
    known = list(known)
    near = difflib.get_close_matches(wanted, known, n=most)
    return f"did you mean {', '.join(near)}?" if near else f"choose from {', '.join(sorted(known))}"
