"""One thing that is wrong, in words that help: what was seen, why it matters, what to try."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["serious", "warning", "hint"]

# Apart from 1 (the work failed) and 2 (bad usage): a script can tell a sick run from one that could not be looked at.
EXIT_CODES: dict[Severity, int] = {"serious": 4, "warning": 3, "hint": 0}
_ORDER: tuple[Severity, ...] = ("serious", "warning", "hint")


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        kind: ``leakage``, ``collapse``, ``dead modality``, ``unused class``, ``learning rate``, ``labels``,
            ``nothing learned``, ``starvation``, ``not finite``, ``unreadable``, ...
        severity: ``serious``: figures of this run mean nothing or it failed; ``warning``: it is worse than it could be;
            ``hint``: good to know.
        seen: what was seen, with its figure.
        why: why it matters.
        attempt: what to try.
    """

    kind: str
    severity: Severity
    seen: str
    why: str
    attempt: str

    def to_dict(self) -> dict[str, Any]:
        """All attributes as plain data."""
        return asdict(self)


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first, otherwise in the given order."""
    return tuple(sorted(findings, key=lambda one: _ORDER.index(one.severity)))


def exit_code(findings: Iterable[Finding]) -> int:
    """4 where something serious was found, 3 where there are warnings, else 0."""
    return max((EXIT_CODES[one.severity] for one in findings), default=0)
