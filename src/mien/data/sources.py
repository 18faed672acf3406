"""Where frames come from: a video file, a folder of frames in order, or a single picture."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.data.manifest import Row
from mien.data.shards import members
from mien.errors import MienError
from mien.media import HeldFile, Still, VideoReader, open_clip

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_SUFFIXES = tuple(sorted(PICTURES))
_NUMBERS = re.compile(r"(\d+)")


class FrameSource(Protocol):
    """Frames of a recording, addressed by position: what ``mien.media.VideoReader`` and ``FrameFolder`` answer.

    Attributes:
        times: float64 ``(N,)`` seconds.
        size: (width, height) of the pictures.
    """

    times: NDArray[np.float64]
    size: tuple[int, int]

    def at_indices(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Frames ``(T, H, W, C)`` at positions ``(T,)``, which may repeat and come in any order."""
        ...


@dataclass(frozen=True)
class Files:
    """What a row's clip is read from: files on disk, or held in memory where the row lies in a shard.

    Attributes:
        recording: video; or pictures in order.
        sound: file with the sound; None where there is none to look for.
        labels: annotation over time.
    """

    recording: Path | HeldFile | tuple[HeldFile, ...]
    sound: Path | HeldFile | None
    labels: Path | HeldFile | None


def files_of(row: Row) -> Files:
    """Files of a row; those in a shard are read from it now.

    Raises:
        MienError: the shard cannot be read.
    """
    silent = row.audio is None and is_pictures(row)
    if row.extent is None:
        return Files(row.path, None if silent else row.audio or row.path, row.labels)
    found = members(row.extent)
    pictures = tuple(file for name, file in found.items() if Path(name).suffix.lower() in PICTURES)
    recording = pictures or found[row.path.name.partition(".")[2]]
    sound = recording if row.audio is None else found[row.audio.name.partition(".")[2]]
    assert silent or not isinstance(sound, tuple)
    labels = None if row.labels is None else found[row.labels.name.partition(".")[2]]
    return Files(recording, None if isinstance(sound, tuple) else sound, labels)


class FrameFolder:
    """A folder of pictures, in the natural order of their names ("2" before "10"), or one picture.

    Args:
        path: the folder or picture file, or pictures in order.
        fps: frames per second; a folder has no clock of its own. None numbers the frames at 25 per second.

    Raises:
        MienError: there is no picture.
    """

    def __init__(self, path: Path | tuple[HeldFile, ...], fps: float | None = None) -> None:
        self._folder: str | Path
        self._files: Sequence[str | HeldFile]
        self._folder, self._files = ("", path) if isinstance(path, tuple) else _listed(path)
        self.times: NDArray[np.float64] = np.arange(len(self._files)) / (fps or 25.0)
        self.size: tuple[int, int] = Still(self._file(0)).size

    def at_indices(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Frames uint8 ``(T, H, W, 3)``; raises ``MienError`` for damaged pictures and for differing sizes."""
        wanted = np.asarray(indices)
        pictures = np.empty((len(wanted), self.size[1], self.size[0], 3), dtype=np.uint8)
        for place, index in enumerate(wanted):
            if place and index == wanted[place - 1]:
                pictures[place] = pictures[place - 1]
                continue
            still = Still(self._file(index))
            if still.size != self.size:
                raise MienError(
                    f"{self._file(index)}: is {_by(still.size)} pixels, the first picture of its folder "
                    f"{_by(self.size)}; the frames of a clip are of one size"
                )
            still.decode_into(pictures[place])
        return pictures

    def _file(self, index: int) -> str | HeldFile:
        file = self._files[index]
        return file if isinstance(file, HeldFile) else os.path.join(self._folder, file)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _listed(path: Path) -> tuple[Path, list[str]]:
    """Folder and names of pictures in their order."""
    if path.is_file():
        return path.parent, [path.name]
    names = sorted(name for name in os.listdir(path) if name.lower().endswith(_SUFFIXES) and name[0] != ".")
    if not names:
        raise MienError(f"{path}: the folder holds no picture (looked for {', '.join(_SUFFIXES)})")
    return path, names if _padded(names) else sorted(names, key=_natural)


def _padded(names: list[str]) -> bool:
    """True for sorted names that are in natural order too: alike but for a number of so many digits in one place."""
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(names[0], names[-1], strict=False)))
    tail = len(os.path.splitext(names[0])[1])
    ends, numbers = {name[-tail:] for name in names}, [name[head:-tail] for name in names]
    return len(set(map(len, names))) == len(ends) == 1 and all(map(str.isdecimal, numbers))


def pictures_in(path: Path) -> list[Path]:
    """Pictures of a folder in the natural order of their names; of a picture, itself.

    Raises:
        MienError: there is none.
    """
    folder, names = _listed(path)
    return [folder / name for name in names]


@contextmanager
def open_frames(row: Row) -> Iterator[FrameSource]:
    """Frames of a row's file or folder, on disk or in a shard, opened for the time of a ``with`` block.

    Raises:
        MienError: it does not exist or cannot be read.
    """
    if row.extent is None and not row.path.exists():
        raise MienError(f"{row.path}: no such file or folder")
    recording = files_of(row).recording
    if isinstance(recording, tuple):
        yield FrameFolder(recording, row.fps)
    elif row.extent is None and is_pictures(row):
        yield FrameFolder(row.path, row.fps)
    elif (clip := open_clip(recording)) is not None:
        yield clip
    else:
        with VideoReader(recording) as video:
            yield video


def is_pictures(row: Row) -> bool:
    """True for a folder of frames or a single picture."""
    if row.extent is not None:
        return not row.path.suffix
    return row.path.suffix.lower() in PICTURES or row.path.is_dir()


def has_clock(row: Row) -> bool:
    """False for a folder of frames whose rate nobody gave."""
    return row.fps is not None or not is_pictures(row)


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _NUMBERS.split(name)]
