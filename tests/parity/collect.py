"""Every case of every ``<system>.json``: the entries of ``cases``, and each further table by its key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("MIEN_PARITY", Path(__file__).parent / "data"))
NOT_CASES = {"meta", "reference", "references", "cases"}


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        system: name of the file, and of the case builder in ``tests/parity/systems``.
        name: of the case.
        data: what the file says about it.
        folder: where further files of the system lie.
    """

    system: str
    name: str
    data: dict[str, Any]
    folder: Path

    def __str__(self) -> str:
        return f"{self.system}-{self.name}"


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    """All cases in a folder, systems in alphabetical order."""
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text())
        for data in content.get("cases", []):
            yield Case(file.stem, data["case"], data, folder)
        for key, data in content.items():
            if key not in NOT_CASES and isinstance(data, dict | list):
                yield Case(file.stem, key, data if isinstance(data, dict) else {"rows": data}, folder)
