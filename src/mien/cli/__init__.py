"""The ``mien`` command. Verbs live in one small file each and load what they need when they run."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the ``mien`` command: runs a verb, turns errors into one line and an exit code."""
    from mien.cli.app import run

    sys.exit(run())
