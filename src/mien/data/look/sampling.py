"""What files of a few drawn clips tell: length, size of the picture, one picture for the contact sheet."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.data.manifest import Manifest, Row
from mien.data.sources import FrameFolder, files_of, has_clock, is_pictures, open_frames
from mien.errors import MienError
from mien.media import HeldFile, probe

_SIDE = 112


@dataclass(frozen=True)
class Facts:
    """What a file tells.

    Attributes:
        seconds: length of the row's stretch; NaN where the file has no clock.
        frames: pictures in the file.
        width, height: of the picture.
        sound: True where there is some; None where nobody looked.
    """

    seconds: float
    frames: int
    width: int
    height: int
    sound: bool | None


def draw(manifest: Manifest, count: int) -> list[str]:
    """Up to ``count`` ids in an order that depends on the ids alone, so that the page is the same each time."""
    return sorted(manifest.ids, key=lambda id_: hashlib.sha256(id_.encode()).digest())[:count]


def facts_of(row: Row) -> Facts:
    """Read the file's head (a folder's names), in a shard too; raises ``MienError`` where it cannot be read."""
    if row.extent is None and not row.path.exists():
        raise MienError(f"{row.path}: no such file or folder")
    recording = files_of(row).recording
    if isinstance(recording, tuple) or is_pictures(row):
        assert not isinstance(recording, HeldFile)
        folder = FrameFolder(recording, row.fps)
        seconds = len(folder.times) / row.fps if has_clock(row) and row.fps else float("nan")
        return Facts(seconds, len(folder.times), *folder.size, sound=None)
    info = probe(recording)
    if info.picture is None:
        raise MienError(f"{row.path}: holds no picture")
    seconds = min(row.end, info.duration) - row.start
    sound = info.sound is not None or row.audio is not None
    return Facts(seconds, info.picture.frames or 0, info.picture.width, info.picture.height, sound)


def thumbnail(row: Row, blurred: bool = True) -> bytes:
    """JPEG of the middle picture of a row, a square of 112 px.

    Args:
        row: the clip.
        blurred: whole, beyond recognition: a detector could miss a face.

    Raises:
        MienError: it cannot be read.
    """
    with open_frames(row) as source:
        inside = np.flatnonzero((source.times >= row.start) & (source.times < row.end))
        if not len(inside):
            raise MienError(f"{row.path}: no picture between {row.start:g} and {row.end:g} s")
        picture = Image.fromarray(source.at_indices([int(inside[len(inside) // 2])])[0])
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 3
    picture = picture.crop((left, top, left + side, top + side)).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    if blurred:
        # Ten by ten values are left: nobody can sharpen them back into a face.
        picture = picture.resize((10, 10), Image.Resampling.BOX).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=72)
    return out.getvalue()


def read_facts(manifest: Manifest, ids: Sequence[str]) -> tuple[dict[str, Facts], dict[str, str]]:
    """Facts by id, and reasons by id for what could not be read."""
    facts, failed = {}, {}
    for id_ in ids:
        try:
            facts[id_] = facts_of(manifest.row(id_))
        except MienError as error:
            failed[id_] = str(error)
    return facts, failed
