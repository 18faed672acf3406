"""One look at a copy of a corpus: finds its files under the spellings that go round, and notes what is odd."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from mien.data.corpora.checks import check_counts
from mien.data.corpora.contract import Corpus, Courses, Finding, Level, Scan
from mien.data.gather import HIDDEN, VIDEOS, files_below
from mien.data.sources import PICTURES
from mien.errors import UsageError

_WRAPPED = 2  # levels of folders that downloads put around a corpus
_CROWDED = 300  # folders with more entries hold clips, not wrappings
_POINTER = b"version https://git-lfs"


def key_by(pattern: re.Pattern[str], form: str) -> Callable[[PurePosixPath], str]:
    """Keys for ``Survey.clips``: ``form`` filled with the groups of a pattern found in the path, and its ``stem``.

    What the pattern is not found in is left out.
    """

    def key(path: PurePosixPath) -> str:
        match = pattern.search(path.as_posix())
        return form.format(match[0], *match.groups(), stem=path.stem) if match else ""

    return key


class Survey:
    """Finds files and collects findings.

    Attributes:
        corpus: which one is looked for.
        root: folder of the copy.
        choices: how it is taken.
        cropped: set by the corpus: the pictures are faces already.
        variant: set by the corpus: which published counts apply.
        courses: filled by the corpus: annotation over time, by id.
        listing: the rows that are counted, by default those that ``match`` was given, or those of the result.
    """

    def __init__(self, corpus: Corpus, root: Path, choices: Mapping[str, str]) -> None:
        if not root.is_dir():
            raise UsageError(f"{root}: no such folder; give the one that {corpus.name} was unpacked into")
        self.corpus = corpus
        self.root = root.absolute()
        self.choices = choices
        self.cropped = False
        self.variant = next(iter(corpus.counts), "")
        self.courses: dict[str, Courses] = {}
        self._findings: list[Finding] = []
        self.listing: pd.DataFrame | None = None

    def say(self, level: Level, text: str, items: Iterable[str] = (), remedy: str = "") -> None:
        """Record a finding, once."""
        if (finding := Finding(level, text, tuple(items), remedy)) not in self._findings:
            self._findings.append(finding)

    def folder(self, *names: str, inside: Path | None = None, what: str = "") -> Path:
        """Folder of one of the names, in whatever spelling, up to two levels below.

        Raises:
            UsageError: there is none; the message says what is there instead.
        """
        found = self.maybe(*names, inside=inside)
        if found is None:
            raise self._not_here(names, inside or self.root, what)
        return found

    def file(self, *names: str, inside: Path | None = None, what: str = "") -> Path:
        """File of one of the names, likewise."""
        found = self.maybe(*names, inside=inside, files=True)
        if found is None:
            raise self._not_here(names, inside or self.root, what)
        return found

    def maybe(self, *names: str, inside: Path | None = None, files: bool = False) -> Path | None:
        """The same, or None. A spelling that differs from all names is noted."""
        wanted = {plain(name): name for name in reversed(names)}
        for path in _near(inside or self.root, _WRAPPED):
            if plain(path.name) in wanted and (path.is_file() if files else path.is_dir()):
                if path.name not in names:
                    self.say("note", f"{path.relative_to(self.root)} was taken for {wanted[plain(path.name)]}")
                inner = path / path.name  # some ways to unpack put a folder into one of its own name
                return inner if inner.is_dir() else path
        return None

    def clips(
        self, folder: Path, suffixes: Iterable[str] = VIDEOS, key: Callable[[PurePosixPath], str] | None = None
    ) -> dict[str, str]:
        """Files with one of the suffixes anywhere below a folder, by key.

        Args:
            folder: where to look.
            suffixes: with their dots.
            key: made of the path inside the folder, by default its name without suffix; "" leaves the file out.
        """
        allowed = tuple(suffix.lower() for suffix in suffixes)
        names = (name for name in files_below(folder) if name.lower().endswith(allowed))
        return self._by_key(folder, names, key or (lambda path: path.stem))

    def frame_folders(
        self, folder: Path, depth: int, key: Callable[[PurePosixPath], str] | None = None
    ) -> dict[str, str]:
        """Folders with pictures, ``depth`` levels below; empty ones are not counted as there, and told.

        Archives in parts may unpack into a folder for each part, so folders of full folders are looked into.
        """
        level = [folder]
        for _ in range(depth):
            level = [child for parent in level for child in _folders(parent)]
        full = [path for path in level if _shows(path)]
        empty = []
        for path in sorted(set(level) - set(full)):
            inside = [child for child in _folders(path) if _shows(child)]
            full += inside
            empty += [] if inside else [str(path.relative_to(self.root))]
        if empty:
            self.say("warning", f"{len(empty):,} folder(s) hold no picture", empty)
        names = (path.relative_to(folder).as_posix() for path in full)
        return self._by_key(folder, names, key or (lambda path: path.name))

    def match(self, listed: pd.DataFrame, found: Mapping[str, str], where: Path, unlisted: Level | None = "warning",
              archive: str = "the archives", of: str = "listed") -> pd.DataFrame:  # fmt: skip
        """Rows whose ``id`` was found, with ``path``; says what is missing and what is extra.

        Args:
            listed: rows that there should be, with ``id``.
            found: files or folders by id.
            where: folder that was searched.
            unlisted: level of what is on disk but not listed; None where that is normal.
            archive: what to unpack again.
            of: how the rows are known.
        """
        if (again := listed["id"].duplicated()).any():
            names = sorted(set(listed["id"][again]))
            self.say("warning", f"{len(names):,} clip(s) are listed twice; the first counts", names)
            listed = listed[~again].reset_index(drop=True)
        self.listing = listed if self.listing is None else self.listing
        path = listed["id"].map(dict(found))
        missing = sorted(listed["id"][path.isna()])
        place = self.root.name if where == self.root else where.relative_to(self.root)
        if len(missing) == len(listed):
            raise UsageError(
                f"{where}: none of the {len(listed):,} {of} clips of {self.corpus.name} is here, for example "
                f"{missing[0] if missing else 'any'}; unpack {archive} into this folder"
            )
        excused = [name for name in missing if name in self.corpus.known]
        for reason in sorted({self.corpus.known[name] for name in excused}):
            names = [name for name in excused if self.corpus.known[name] == reason]
            self.say("note", f"{len(names)} clip(s) with known damage ({reason}) are not there", names)
        lost = [name for name in missing if name not in self.corpus.known]
        if lost:
            level: Level = "warning" if self.corpus.patchy else "error"
            share = f"{len(lost):,} of {len(listed):,} {of} clips ({100 * len(lost) / len(listed):.2g} %)"
            self.say(level, f"{share} are not in {place}", lost, f"unpack {archive}")
        extra = sorted(set(found) - set(listed["id"]))
        if extra and unlisted:
            self.say(unlisted, f"{len(extra):,} clip(s) in {place} are in no list and are left out", extra)
        return listed.assign(path=path)[path.notna()].reset_index(drop=True)

    def label_of(self, codes: pd.Series, where: Path | str) -> pd.Series:
        """Class names of official codes; raises ``UsageError`` for one that the corpus does not have."""
        known = self.corpus.by_code()
        names = codes.astype("str").str.strip().str.lower().map(known)
        if names.isna().any():
            odd = codes[names.isna()].iloc[0]
            raise UsageError(f"{where}: {odd!r} is no class of {self.corpus.name} ({', '.join(known)})")
        return names

    def refuse_pointers(self, files: Iterable[str]) -> None:
        """Raise ``UsageError`` where files are the text that git puts in place of large files."""
        small = [path for path in map(Path, files) if path.stat().st_size < 200]
        pointers = [path for path in small if path.read_bytes().startswith(_POINTER)]
        if pointers:
            raise UsageError(
                f"{pointers[0]}: holds a pointer of git-lfs, not the clip ({len(pointers):,} files do); "
                "run `git lfs pull` in the copy, or download the media"
            )

    def concluded(self, frame: pd.DataFrame) -> Scan:
        """The result, with counts checked."""
        if frame.empty:
            raise UsageError(f"{self.root}: no clip of {self.corpus.name} was found here; look at `mien corpora show`")
        if (counts := self.corpus.counts.get(self.variant)) is not None:
            listing = self.listing if self.listing is not None else frame
            self._findings += check_counts(listing, counts)
        frame = frame.sort_values("id", ignore_index=True)
        return Scan(frame, tuple(self._findings), self.cropped, self.courses)

    def _by_key(self, folder: Path, names: Iterable[str], key: Callable[[PurePosixPath], str]) -> dict[str, str]:
        found: dict[str, str] = {}
        twice = []
        for name in names:
            own = key(PurePosixPath(name))
            if own in found:
                twice.append(name)
            elif own:
                found[own] = f"{folder}/{name}"
        if twice:
            self.say("warning", f"{len(twice):,} clip(s) are there twice; the first of each is taken", twice)
        return found

    def _not_here(self, names: Sequence[str], where: Path, what: str) -> UsageError:
        there = sorted(_names(where))
        found = ", ".join(there[:6]) + (", ..." if len(there) > 6 else "") if there else "nothing"
        return UsageError(
            f"{where}: no {names[0]} here ({what or self.corpus.title}); found {found}. "
            f"`mien corpora show {self.corpus.name}` prints the official tree and whom to ask"
        )


def plain(name: str) -> str:
    """A name without case, blanks, hyphens and brackets, and without the ``_new`` of later copies."""
    return re.sub(r"[^a-z0-9.]", "", name.casefold().removesuffix("_new"))


def _near(root: Path, depth: int) -> Iterator[Path]:
    """The folder itself, then what lies in it, level by level; folders full of clips are not searched."""
    yield root
    level = [root]
    for _ in range(depth + 1):
        below: list[Path] = []
        for folder in level:
            children = _entries(folder)
            yield from children
            if len(children) <= _CROWDED:
                below += [child for child in children if child.is_dir()]
        level = below


def _entries(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(_names(folder)) if not name.startswith(HIDDEN)]


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(HIDDEN)]
    return [folder / name for name in sorted(names)]


def _shows(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(os.path.splitext(entry.name)[1].lower() in PICTURES for entry in entries)


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []
