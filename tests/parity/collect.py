"""Every case of every ``<system>.json``: the entries of ``cases``, and each further table by its key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWN = Path(__file__).parent / "data"
FOLDER = Path(os.environ.get("MIEN_PARITY", OWN))
NOT_CASES = {"meta", "reference", "references", "cases"}


# what a case says to people, and to the tools that made it
WORDS = {"case", "description", "note", "reference", "repo", "composition", "formula", "recipe", "input_recipe", "rule",
         "source", "finding", "equivalent", "order", "format", "l2_note", "tolerance", "error", "full_model_error",
         "none_returns_new", "net_aliases_online_encoder_net", "wav_subtype", "librosa_reflect", "librosa_constant",
         "resample_with_librosa_0_10", "teacher_weights", "data"}  # fmt: skip


# parts of a case in which nothing may be passed over either; words are settings in the first two
NESTED = ("kwargs", "model_kwargs", "training", "train_mode_forward", "loss", "parts")


class Noted(dict[str, Any]):
    """A mapping that remembers what was asked for, in parts of its own (``NESTED``) too."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(
            {key: Noted(one) if key in NESTED and isinstance(one, dict) else one for key, one in data.items()}
        )
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.read.add(key)
        return super().pop(key, *default)

    def __iter__(self) -> Iterator[str]:  # so that copies ask for every key
        return super().__iter__()

    def items(self) -> Any:
        self.read |= self.keys()
        return super().items()

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def ignored(self, settings: bool = False) -> set[str]:
        """What nobody asked for, words aside, unless words are ``settings``."""
        own = {key for key, one in super().items() if key not in self.read | WORDS and one not in ({}, [], None)}
        own = {key for key in own if settings or not isinstance(super(Noted, self).get(key), str)}
        parts = [(name, super(Noted, self).get(name)) for name in NESTED if name in self.read]
        return own | {
            f"{name}.{key}"
            for name, part in parts
            if isinstance(part, Noted)
            for key in part.ignored(settings=name.endswith("kwargs"))
        }


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

    def beside(self, name: str) -> Path:
        """A file beside the case's, or where there is none the one of our copy: a folder may hold a few cases alone."""
        own = self.folder / name
        return own if own.exists() else OWN / name

    def others(self) -> Iterator[dict[str, Any]]:
        """The cases of the same system, those of our copy last."""
        for folder in dict.fromkeys((self.folder, OWN)):
            file = folder / f"{self.system}.json"
            if file.is_file():
                yield from json.loads(file.read_text()).get("cases", [])


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    """All cases in a folder, systems in alphabetical order."""
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text())
        for data in content.get("cases", []):
            yield Case(file.stem, data["case"], data, folder)
        for key, data in content.items():
            if key not in NOT_CASES and isinstance(data, dict | list):
                yield Case(file.stem, key, data if isinstance(data, dict) else {"rows": data}, folder)
