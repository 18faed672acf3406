"""Protocols of a manifest written to a folder, and a report on what their parts share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mien.data.leakage import Overlap, betrays, overlaps
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol, folds, round_names
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError


@dataclass(frozen=True)
class LeakReport:
    """What the parts of protocols share.

    Attributes:
        found: overlaps by protocol.
        betrayed: names of protocols whose test figures would not hold for unseen people.
        content: files were compared.
        nameless: the manifest names no subjects.
    """

    found: Mapping[str, tuple[Overlap, ...]]
    betrayed: tuple[str, ...]
    content: bool
    nameless: bool

    def as_dict(self) -> dict[str, Any]:
        """Everything, with all values that are shared."""
        shared = {
            name: [{"parts": one.parts, "what": one.noun, "values": one.values} for one in found]
            for name, found in self.found.items()
        }
        return {"shared": shared, "betrayed": self.betrayed, "content": self.content, "subjects": not self.nameless}

    def text(self) -> str:
        """A line for everything that is shared, and what was looked at."""
        lines = []
        for name, found in self.found.items():
            lines += [f"{name}: {'LEAK: ' if _leaks(one, self, name) else ''}{one.text}" for one in found]
            if not found:
                lines.append(f"{name}: nothing is shared")
        looked = "rows, subjects, groups, files, source videos"
        more = " and the files' bytes" if self.content else "; --content compares the files' bytes too"
        lines.append(f"looked at {looked}{more}")
        if self.nameless:
            lines.append("no subjects are named: the same people may be in both parts")
        return "\n".join(lines)


def divide(manifest: Path | str, choices: Mapping[str, Any], out: Path | str) -> dict[str, Protocol]:
    """Write ``out/<name>.json`` for every round: ``fold-<k>``, or ``split``.

    Args:
        manifest: table with the columns that the way of dividing needs.
        choices: of ``ProtocolSettings``, without ``fold``.
        out: folder.

    Raises:
        UsageError: a column is missing, or parts leak; nothing is written then.
    """
    table = Manifest.read(manifest)
    made = {name: Protocol.from_manifest(table, settings) for name, settings in _rounds(table, choices).items()}
    for name, protocol in made.items():
        protocol.write(Path(out) / f"{name}.json")
    return made


def report_leaks(manifest: Path | str, protocols: Sequence[Path], content: bool = False) -> LeakReport:
    """What the parts of protocols share; without protocols, those of the manifest's own split or folds."""
    table = Manifest.read(manifest)
    if protocols:
        known = {path.stem: Protocol.read(path) for path in protocols}
    else:
        by = next((name for name in ("split", "fold") if table.has(name)), None)
        if by is None:
            raise UsageError(f"{manifest}: neither split nor fold to check; give --protocol")
        rounds = _rounds(table, {"by": by, "published": True})
        known = {name: Protocol.from_manifest(table, settings) for name, settings in rounds.items()}
    found = {name: tuple(overlaps(protocol, table, content)) for name, protocol in known.items()}
    betrayed = tuple(name for name, shared in found.items() if any(betrays(one, table) for one in shared))
    return LeakReport(found, betrayed, content, not table.has("subject"))


def _leaks(overlap: Overlap, report: LeakReport, name: str) -> bool:
    named_file = overlap.noun in {"file", "source video"} and not report.nameless
    return name in report.betrayed and overlap.parts == ("training", "test") and not named_file


def _rounds(manifest: Manifest, choices: Mapping[str, Any]) -> dict[str, ProtocolSettings]:
    def settings(**more: Any) -> ProtocolSettings:
        try:
            return ProtocolSettings.model_validate({**choices, **more})
        except ValidationError as error:
            problem = error.errors()[0]
            name = ".".join(map(str, problem["loc"])) or "protocol"
            raise UsageError(f"{name}: {problem['msg'].removeprefix('Value error, ')}") from None

    if choices.get("by") == "split":
        return {"split": settings()}
    first = settings(fold="0")
    return {f"fold-{name}": settings(fold=fold) for fold, name in round_names(folds(manifest, first)).items()}
