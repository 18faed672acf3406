"""A two-way table between the names of a published checkpoint and ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from mien.checkpoints.strict import brief
from mien.errors import MienError

Rule = tuple[str, str]


class Renaming:
    """Bijective renaming by templates such as ``("blocks.{i}.norm1.{leaf}", "blocks.{i}.attention_norm.{leaf}")``.

    A field in braces stands for one part between dots (``{rest}``: for all that follows) and appears in both
    templates. The first rule that matches a whole name applies.

    Args:
        rules: pairs (published template, our template).
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = list(rules)
        self._to_mien = [(_pattern(published), _filler(ours)) for published, ours in rules]
        self._to_published = [(_pattern(ours), _filler(published)) for published, ours in rules]

    def to_mien(self, name: str) -> str | None:
        """Our name of a published one; None where no rule knows it."""
        return _apply(self._to_mien, name)

    def to_published(self, name: str) -> str | None:
        """The published name of one of ours; None where no rule knows it."""
        return _apply(self._to_published, name)

    def state_to_mien(self, state: Mapping[str, Tensor], system: str) -> dict[str, Tensor]:
        """Rename every tensor; ``MienError`` names those that ``system`` does not know."""
        return _rename(state, self._to_mien, f"tensors that {system} does not have")

    def state_to_published(self, state: Mapping[str, Tensor], system: str) -> dict[str, Tensor]:
        """Rename every tensor back; ``MienError`` names those that have no published name in ``system``."""
        return _rename(state, self._to_published, f"tensors without a published name in {system}")


Table = list[tuple[re.Pattern[str], str]]


def _pattern(template: str) -> re.Pattern[str]:
    pattern = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    pattern = pattern.replace("{rest}", "(?P<rest>.+)")
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^.]+)", pattern))


def _filler(template: str) -> str:
    return re.sub(r"\{(\w+)\}", r"\\g<\1>", template)


def _apply(table: Table, name: str) -> str | None:
    for pattern, filler in table:
        if match := pattern.fullmatch(name):
            return match.expand(filler)
    return None


def _rename(state: Mapping[str, Tensor], table: Table, problem: str) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    unknown = []
    for name, value in state.items():
        new = _apply(table, name)
        if new is None:
            unknown.append(name)
        elif new in renamed:
            raise MienError(f"two tensors would both be called {new}; {name} is one of them")
        else:
            renamed[new] = value
    if unknown:
        raise MienError(f"the file holds {problem}: {brief(unknown)}")
    return renamed
