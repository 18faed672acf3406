"""Where frames come from: a video file, a folder of frames in order, or a single picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mien.data.manifest import Row
from mien.errors import MienError
from mien.media import VideoReader

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


class FrameSource(Protocol):
    """Frames of a recording, addressed by position: what ``mien.media.VideoReader`` and ``FrameFolder`` answer.

    Attributes:
        times: float64 ``(N,)`` seconds.
        size: (width, height) of the pictures.
    """

    times: NDArray[np.float64]
    size: tuple[int, int]

    def at_indices(self, indices: ArrayLike) -> NDArray[np.uint8]: ...


class FrameFolder:
    """A folder of pictures, in the natural order of their names ("2" before "10"), or one picture.

    Args:
        path: the folder or picture file.
        fps: frames per second; a folder has no clock of its own. None numbers the frames at 25 per second.

    Raises:
        MienError: there is no picture.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        files = [path] if path.is_file() else [file for file in path.iterdir() if file.suffix.lower() in PICTURES]
        if not files:
            raise MienError(f"{path}: the folder holds no picture (looked for {', '.join(sorted(PICTURES))})")
        self.files = sorted(files, key=lambda file: _natural(file.name))
        self.times: NDArray[np.float64] = np.arange(len(files)) / (fps or 25.0)
        height, width = self._picture(self.files[0]).shape[:2]
        self.size = (width, height)

    def at_indices(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Frames uint8 ``(T, H, W, 3)``; raises ``MienError`` for damaged pictures and for differing sizes."""
        pictures = [self._picture(self.files[index]) for index in np.asarray(indices)]
        sizes = {picture.shape for picture in pictures}
        if len(sizes) > 1:
            raise MienError(f"{self.files[0].parent}: frames differ in size: {sorted(sizes)}")
        return np.stack(pictures)

    def _picture(self, file: Path) -> NDArray[np.uint8]:
        try:
            with Image.open(file) as picture:
                return np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise MienError(f"{file}: not a readable picture ({error})") from error


@contextmanager
def open_frames(row: Row) -> Iterator[FrameSource]:
    """Frames of a row's file or folder, opened for the time of a ``with`` block.

    Raises:
        MienError: it does not exist or cannot be read.
    """
    if not row.path.exists():
        raise MienError(f"{row.path}: no such file or folder")
    if is_pictures(row):
        yield FrameFolder(row.path, row.fps)
        return
    with VideoReader(row.path) as video:
        yield video


def is_pictures(row: Row) -> bool:
    """True for a folder of frames or a single picture."""
    return row.path.suffix.lower() in PICTURES or row.path.is_dir()


def has_clock(row: Row) -> bool:
    """False for a folder of frames whose rate nobody gave."""
    return row.fps is not None or not is_pictures(row)


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
