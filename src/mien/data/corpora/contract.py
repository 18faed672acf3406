"""What every corpus tells about itself: names, labels, layout, published counts, and how a copy of it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from mien.data.ratings import Ratings
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.data.corpora.survey import Survey

# value (arousal, valence, ...) → reader of its annotation, given the frames per second
Courses = Mapping[str, Callable[[float | None], Ratings]]
Level = Literal["error", "warning", "note"]
NAME = "name"  # the choice of corpora that are the user's own: what results and ledgers call them


@dataclass(frozen=True)
class Label:
    """A class of a corpus.

    Attributes:
        id: number that the published systems give it; ids count from 0.
        name: what manifests call it.
        code: how the official files write it (a number, a code, a folder's name).
        common: name that corpora share (``mien.data.corpora.labels``).
    """

    id: int
    name: str
    code: str
    common: str


@dataclass(frozen=True)
class Counts:
    """Published numbers of clips.

    Attributes:
        total: clips in all.
        parts: clips by value of ``by``: a fold's test clips, or a split's clips.
        by: column that ``parts`` counts, ``fold`` or ``split``.
        classes: clips by class name.
        part_classes: the same inside a part.
        columns: clips by value of further columns.
        subjects: people.
        remembered: nobody checked the numbers on a copy: a difference is then a note, not a warning.
    """

    total: int | None = None
    parts: Mapping[str, int] = field(default_factory=dict)
    by: Literal["fold", "split"] = "fold"
    classes: Mapping[str, int] = field(default_factory=dict)
    part_classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    subjects: int | None = None
    remembered: bool = False

    def training(self, fold: str) -> int:
        """Clips that train when a fold is the test; raises ``KeyError`` for a fold that does not exist."""
        return sum(self.parts.values()) - self.parts[fold]


@dataclass(frozen=True)
class Choice:
    """A way in which a corpus can be taken.

    Attributes:
        name: what the user writes.
        values: what may be chosen, the usual first; none: any text.
        meaning: for the user.
        default: where any text may be chosen.
    """

    name: str
    values: tuple[str, ...]
    meaning: str
    default: str = ""

    @property
    def usual(self) -> str:
        """What holds where nothing is chosen."""
        return self.values[0] if self.values else self.default


@dataclass(frozen=True)
class Finding:
    """Something that was seen while a copy was read.

    Attributes:
        level: ``error``: clips are missing that the official lists name; ``warning``: the copy differs from what was
            published; ``note``: good to know.
        text: one sentence.
        items: all names that it is about.
        remedy: what to do about it.
    """

    level: Level
    text: str
    items: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def line(self) -> str:
        """The sentence with up to three of the names, and the remedy."""
        more = ", ..." if len(self.items) > 3 else ""
        names = f": {', '.join(self.items[:3])}{more}" if self.items else ""
        return f"{self.text}{names}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Scan:
    """A copy of a corpus as found.

    Attributes:
        frame: rows of a manifest (``id``, absolute ``path``, targets, ``subject``, ``fold`` or ``split``), only clips
            that are there.
        findings: what is missing, extra or different.
        cropped: the pictures are faces already and are used as they are.
        courses: annotation over time by id, where the corpus has such; see ``mien.data.ratings``.
    """

    frame: pd.DataFrame
    findings: tuple[Finding, ...]
    cropped: bool
    courses: Mapping[str, Courses] = field(default_factory=dict)

    def of_level(self, level: Level) -> tuple[Finding, ...]:
        """Findings of a level."""
        return tuple(finding for finding in self.findings if finding.level == level)


@dataclass(frozen=True)
class Corpus:
    """One corpus.

    Attributes:
        name: what the command calls it.
        title: name, venue and year.
        paper: doi or arXiv number.
        licence: terms, as far as known.
        access: whom to ask, where; ``link``: a page about it, where one is known.
        layout: the official tree, as it unpacks.
        look: reads a copy through a ``Survey``: rows with ``id`` and ``path``.
        labels: classes in the order of their ids.
        targets: columns with numbers.
        subjects: what is known about who is seen.
        splits: where folds or splits come from.
        published: the official division shares people between training and test, or does not say.
        choices: ways in which it can be taken.
        counts: published numbers, by variant; ``variant`` of a survey says which apply.
        patchy: clips are gone from the web by now, so that missing ones are no error.
        known: names of clips with known damage, with the reason.
        used_by: how the published systems took it.
        quirks: traps.
    """

    name: str
    title: str
    paper: str
    licence: str
    access: str
    layout: str
    look: Callable[[Survey], pd.DataFrame]
    link: str = ""
    labels: tuple[Label, ...] = ()
    targets: tuple[str, ...] = ()
    subjects: str = "unknown"
    splits: str = "none"
    published: bool = False
    choices: tuple[Choice, ...] = ()
    counts: Mapping[str, Counts] = field(default_factory=dict)
    patchy: bool = False
    known: Mapping[str, str] = field(default_factory=dict)
    used_by: tuple[str, ...] = ()
    quirks: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their ids."""
        return tuple(label.name for label in self.labels)

    def by_code(self) -> dict[str, str]:
        """Class names by official code, in lower case."""
        return {label.code.lower(): label.name for label in self.labels}

    def scan(self, root: Path | str, **choices: str) -> Scan:
        """Read a copy.

        Args:
            root: folder of the copy; folders that downloads wrap around it are seen through, two levels deep.
            choices: see ``self.choices``.

        Raises:
            UsageError: this is not such a copy, an official file is missing, or a choice is unknown.
        """
        from mien.data.corpora.survey import Survey

        survey = Survey(self, Path(root), self.chosen(choices))
        frame = self.look(survey)
        return survey.concluded(frame)

    def chosen(self, given: Mapping[str, str]) -> dict[str, str]:
        """What was chosen, with the usual for the rest; raises ``UsageError`` for what there is not."""
        known = {choice.name: choice for choice in self.choices}
        for name, value in given.items():
            if name not in known:
                raise UsageError(f"{self.name} has no choice {name!r}; there are {', '.join(known) or 'none'}")
            allowed = known[name].values
            if allowed and value not in allowed:
                raise UsageError(f"{self.name}: {name}={value!r}; choose {' or '.join(allowed)}")
        usual = {name: choice.usual for name, choice in known.items()}
        return usual | dict(given)

    def called(self, root: Path | str, chosen: Mapping[str, str]) -> str:
        """Name in manifests and ledgers: that of the corpus, for users' own ones what they chose, or the folder's.

        Two collections of folders would else pass for one corpus, and one be held for seen when the other was.
        """
        if NAME not in chosen:
            return self.name
        return chosen[NAME] or Path(root).resolve().name or self.name
