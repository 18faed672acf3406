"""Faces that OpenFace has cut out and aligned, in the place of those that mien would look for.

OpenFace (Baltrusaitis et al., FG 2018; its program FeatureExtraction) leaves of a recording ``<name>.mp4`` the pictures
``<name>_aligned/frame_det_00_000001.bmp`` and so on, numbered from 1 as the recording's frames, and beside that folder
``<name>.csv`` with a row per frame: ``frame, ..., confidence, success, ...``. Where it lost the face it goes on to
write pictures of whatever is there, and only the table tells.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.data.gather import Source
from mien.data.sources import FrameFolder, is_pictures, pictures_in
from mien.errors import MienError, UsageError
from mien.faces.types import Frame, TrackedFace, TrackedFrame
from mien.media import VideoReader

_SUFFIX = "_aligned"
_PICTURE = re.compile(r"frame_det_(\d+)_(\d+)\.\w+")


@dataclass(frozen=True)
class Aligned:
    """A picture of OpenFace with its place in the recording; ``confidence``: 0..1 by its table, NaN without one."""

    index: int
    time: float
    image: NDArray[np.uint8]
    confidence: float


@dataclass(frozen=True)
class AlignedFolders:
    """Folders of aligned pictures, found by one walk through all that OpenFace left.

    Attributes:
        root: where OpenFace wrote its results.
        known: folders by the name of their recording; at least one.
    """

    root: Path
    known: Mapping[str, Sequence[Path]]

    @classmethod
    def find(cls, root: Path | str) -> AlignedFolders:
        """Walk through a folder and, through links, those below it; raises ``UsageError`` where none is found."""
        root = Path(root)
        if not root.is_dir():
            raise UsageError(f"{root}: no such folder; give where OpenFace wrote its results")
        found: dict[str, list[Path]] = {}
        for where, names, _ in os.walk(root, followlinks=True):
            for name in sorted(name for name in names if name.endswith(_SUFFIX)):
                found.setdefault(name.removesuffix(_SUFFIX), []).append(Path(where, name).absolute())
            names[:] = sorted(name for name in names if not name.endswith(_SUFFIX) and not name.startswith("."))
            names[:] = [name for name in names if not _leads_up(Path(where, name))]
        if not found:
            raise UsageError(f"{root}: no folder <recording>{_SUFFIX} here; give where OpenFace wrote its results")
        return cls(root, found)

    @property
    def side(self) -> int:
        """Width of the pictures, pixels, as the first folder shows it."""
        first, *_ = self.known.values()
        return FrameFolder(first[0]).size[0]

    def attach(self, sources: Sequence[Source]) -> list[Source]:
        """Sources with their folder of aligned pictures, by the recording's name.

        Where several folders have a name, the one whose folders above are called most like the recording's is taken.
        A recording without one gets the name of a folder that is not there, and fails alone.

        Raises:
            UsageError: no source has a folder, or which one belongs to which recording cannot be told.
        """
        result: list[Source] = []
        owners: dict[Path, Source] = {}
        for source in sources:
            path = source.row.path
            aligned = _nearest(path, self.known.get(path.stem, []))
            if aligned is not None and owners.setdefault(aligned, source).row.path != path:
                both = f"{owners[aligned].name} and {source.name}"
                raise UsageError(
                    f"{aligned}: {both} are called so; lay OpenFace's results in folders as the recordings lie"
                )
            result.append(replace(source, aligned=aligned or self.root / f"{path.stem}{_SUFFIX}"))
        if result and not owners:
            name = f"{result[0].row.path.stem}{_SUFFIX}"
            raise UsageError(f"{self.root}: no {name} here, nor a folder of another recording")
        return result


def table_of(aligned: Path) -> Path:
    """The table that OpenFace writes beside a folder of aligned pictures."""
    return aligned.with_name(aligned.name.removesuffix(_SUFFIX) + ".csv")


def aligned_frames(source: Source) -> Iterator[Aligned]:
    """Pictures in which OpenFace saw a face, with the times of the recording's frames, inside the source's stretch.

    Without the table every picture counts.

    Raises:
        MienError: there are no pictures, or they are not of this recording.
    """
    aligned, row = source.aligned, source.row
    assert aligned is not None
    if not aligned.is_dir():
        raise MienError(f"{row.path}: OpenFace has left no {aligned.name} in {aligned.parent}")
    files = _numbered(aligned)
    seen = _confidences(table_of(aligned))
    times = _times(source)
    if (last := max(files)) > len(times):
        raise MienError(
            f"{files[last]}: picture {last} of a recording with {len(times)} frames: OpenFace read another one"
        )
    for number in sorted(files):
        confidence = math.nan if seen is None else seen.get(number, 0.0)
        time = float(times[number - 1])
        if confidence != 0 and row.start <= time < row.end:
            yield Aligned(number - 1, time, FrameFolder(files[number]).at_indices([0])[0], confidence)


def follow_aligned(frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
    """Frames that are wholly the face of one person."""
    for frame in frames:
        height, width = frame.image.shape[:2]
        box = np.array([0, 0, width, height], dtype=np.float64)
        confidence = frame.confidence if isinstance(frame, Aligned) else 1.0
        yield TrackedFrame(frame.index, frame.time, frame.image, [TrackedFace(0, box, confidence, None, "detected")])


def _leads_up(folder: Path) -> bool:
    """Whether a folder is a link to one that it lies in: following it would go round in a circle."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _nearest(recording: Path, folders: Sequence[Path]) -> Path | None:
    """The folder that shares most names of folders with the recording, counted from the end."""
    above = recording.absolute().parent.parts[::-1]

    def alike(folder: Path) -> int:
        own = [part for part in folder.parent.parts[::-1] if part != recording.stem]
        return next((at for at, (one, other) in enumerate(zip(own, above, strict=False)) if one != other), len(own))

    best = max(map(alike, folders), default=0)
    nearest = [folder for folder in folders if alike(folder) == best]
    if len(nearest) > 1:
        raise UsageError(
            f"{recording}: {nearest[0]} and {nearest[1]} are called so; lay OpenFace's results in folders as the "
            "recordings lie"
        )
    return nearest[0] if nearest else None


def _numbered(aligned: Path) -> dict[int, Path]:
    files: dict[int, Path] = {}
    for path in pictures_in(aligned):
        match = _PICTURE.fullmatch(path.name)
        if match is None:
            raise MienError(f"{path}: is not called frame_det_00_000001.bmp or so, as OpenFace calls its pictures")
        if int(match[2]) in files:
            raise MienError(f"{path}: a second face of that frame; let OpenFace's FeatureExtraction follow one")
        files[int(match[2])] = path
    return files


def _confidences(file: Path) -> dict[int, float] | None:
    """Confidence by frame number where ``success`` is 1, and 0 elsewhere; None without a table."""
    if not file.is_file():
        return None
    wanted = {"frame", "confidence", "success"}
    try:
        table = pd.read_csv(file, skipinitialspace=True, usecols=lambda name: name.strip() in wanted)
    except (OSError, ValueError) as error:
        raise MienError(f"{file}: not a table of OpenFace ({str(error).strip()})") from error
    table.columns = table.columns.str.strip()
    if missing := sorted({"frame", "success"} - set(table.columns)):
        raise MienError(f"{file}: no column {missing[0]!r}, which OpenFace's tables have")
    # some confidence remains where only the table's rounding takes it away
    sure = table["confidence"].clip(lower=1e-3) if "confidence" in table else 1.0
    return dict(zip(table["frame"].astype("int"), (sure * (table["success"] == 1)).astype("float"), strict=True))


def _times(source: Source) -> NDArray[np.float64]:
    if is_pictures(source.row):
        return FrameFolder(source.row.path, source.row.fps).times
    with VideoReader(source.row.path) as video:
        return video.times
