"""Folders of corpora with arousal and valence over time, as they are handed out or as SS-VAERR's code lays them out.

Recordings lie in one folder per part (its name says train, test or validation), annotations in a like tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.errors import UsageError

Layout = Literal["sewa", "msp", "recola"]
PartName = Literal["train", "validation", "test"]
VIDEOS = (".npz", ".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg")
VALUES = ("arousal", "valence")
_PARTS: dict[str, PartName] = {
    "train": "train",
    "tr": "train",
    "test": "test",
    "val": "validation",
    "dev": "validation",
}


@dataclass(frozen=True)
class Source:
    """One recording of a corpus.

    Attributes:
        name: of the recording, unique in its part.
        subject: who is seen.
        part: train, validation or test.
        video: its file (a video, or frames in an ``.npz`` file).
        annotations: files by value, one per annotator or with several of them.
    """

    name: str
    subject: str
    part: PartName
    video: Path
    annotations: dict[str, tuple[Path, ...]]


def partitions(names: Iterable[str]) -> dict[PartName, str]:
    """Folder of every part: the one whose name holds ``tr``, ``test``, ``val`` or ``dev`` (the earliest counts).

    Raises:
        UsageError: two folders claim the same part, or none is for training.
    """
    found: dict[PartName, str] = {}
    for name in sorted(names):
        match = re.search(r"train|tr|test|val|dev", name.lower())
        if match is None:
            continue
        part = _PARTS[match[0]]
        if part in found:
            raise UsageError(f"folders {found[part]} and {name} both look like the {part} part; keep one of them")
        found[part] = name
    if "train" not in found:
        there = f"there are {', '.join(sorted(names))}" if names else "there are no folders"
        raise UsageError(f"no folder is for training ({there}); call it train")
    return found


def find_sources(layout: Layout, videos: Path, annotations: Path, annotated_from: str = "V") -> list[Source]:
    """All recordings of a corpus with their annotation files, part by part, numbers in order.

    Args:
        layout: ``sewa`` and ``msp``: ``<part>/<name>/<name>.*`` annotated in
            ``<part>/<name>/<name>_Arousal_V_Aligned*``; ``recola``: ``<part>/<folder>/P16_..._<k>.*`` annotated in
            ``<part>/P16/P16_arousal_<k>.*``. Valence likewise.
        videos, annotations: folders that hold the parts.
        annotated_from: what annotators had: ``A`` sound, ``V`` picture or ``AV`` both (SEWA, MSP-Face).

    Raises:
        UsageError: a folder or an annotation is missing; the message names it.
    """
    if layout not in ("sewa", "msp", "recola"):
        raise UsageError(f"layout {layout!r} is not known; there are sewa, msp and recola")
    places = [partitions(_folders(root)) for root in (videos, annotations)]
    sources = []
    for part, folder in places[0].items():
        if part not in places[1]:
            raise UsageError(f"{annotations}: has no folder for the {part} part, {videos} has {folder}")
        for video in sorted(_videos(videos / folder), key=lambda file: (file.parent.name, number_of(file), file.name)):
            sources.append(_source(layout, part, video, annotations / places[1][part], annotated_from))
    return sources


def number_of(file: Path) -> int:
    """The number after the last underscore of a name; 0 where there is none."""
    last = file.stem.rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; give the one that holds the parts of the corpus")
    return [entry.name for entry in root.iterdir() if entry.is_dir()]


def _videos(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*/*") if file.suffix.lower() in VIDEOS]


def _source(layout: Layout, part: PartName, video: Path, annotations: Path, annotated_from: str) -> Source:
    if layout == "recola":
        person = video.parent.name.split("_")[0]
        subject = re.sub(r"\D", "", video.stem.split("_")[0])
        stems = {value: annotations / person / f"{person}_{value}_{number_of(video)}" for value in VALUES}
    else:
        name = video.parent.name
        tokens = name.split("_")
        if len(tokens) < 3:
            raise UsageError(f"{video}: the folder's name must hold the subject as its third part between underscores")
        subject = tokens[2]
        stems = {
            value: annotations / name / f"{name}_{value.capitalize()}_{annotated_from}_Aligned" for value in VALUES
        }
    return Source(video.stem, subject, part, video, {value: _files(stem) for value, stem in stems.items()})


def _files(stem: Path) -> tuple[Path, ...]:
    """Files whose name is the stem, alone or followed by an annotator's number or an ending."""
    own = re.compile(re.escape(stem.name) + r"(_\d+)?(\.\w+)?")
    files = sorted(file for file in stem.parent.glob(f"{stem.name}*") if own.fullmatch(file.name))
    if not files:
        raise UsageError(
            f"{stem}*: there is no such annotation; the recording's folder and the annotation's must agree"
        )
    return tuple(files)
