"""The errors that users see. Each is one clear line: the value, the rule it broke, the remedy."""

from __future__ import annotations


class MienError(Exception):
    """Work that could not be done: a damaged video, a checkpoint that does not fit. The command exits with 1."""

    exit_code = 1


class UsageError(MienError):
    """A request that makes no sense as given: an unknown option, recipe key or model. The command exits with 2."""

    exit_code = 2
