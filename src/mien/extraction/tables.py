"""Features that other programs have made: tables of OpenFace and py-feat, and folders of arrays."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from mien.checkpoints.reading import read_pickled
from mien.data.arrays import as_steps, read_steps
from mien.data.streams import Stream
from mien.errors import MienError, UsageError
from mien.extraction.contract import Extractor, stream
from mien.extraction.material import Material

UNITS = tuple(f"AU{n:02d}" for n in (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43))
EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def file_of(folder: Path, clip: Material, suffixes: tuple[str, ...]) -> Path:
    """The file of a clip in a folder, by its id or its recording's stem."""
    stems = (clip.row.id, clip.row.path.stem)
    for stem in stems:
        for suffix in suffixes:
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}"
    raise MienError(f"{folder}: no {' or '.join(suffixes)} file called {' or '.join(dict.fromkeys(stems))}")


class UnitTable(Extractor):
    """Action units of OpenFace (``AU01_r`` in 0..5, divided by 5) or py-feat (``AU01``, expressions) per frame.

    A table has a row per frame; the rows nearest to the clip's moments are taken, by ``timestamp`` where there is one
    and else by position. Units that a program does not know, and frames without a face, are 0. 27 values as in ViPER.
    """

    width = len(UNITS) + len(EXPRESSIONS)

    def __init__(self, kind: str, source: str) -> None:
        self.folder = folder_named(kind, source)
        self.kind, self.described = kind, f"{kind}:{source}"

    def __call__(self, clip: Material) -> Stream:
        path = file_of(self.folder, clip, (".csv",))
        try:
            table = pd.read_csv(path, skipinitialspace=True)
        except (ValueError, OSError) as error:
            raise MienError(f"{path}: not a CSV table ({str(error).strip()})") from error
        columns = [f"{unit}_r" if self.kind == "openface" else unit for unit in UNITS] + list(EXPRESSIONS)
        if not set(columns) & set(table.columns) or table.empty:
            raise MienError(f"{path}: no action units of {self.kind} (columns such as {columns[0]})")
        first_face = table.drop_duplicates("frame") if "frame" in table else table
        values = first_face.reindex(columns=columns).to_numpy(dtype=np.float64)
        if self.kind == "openface":
            values /= 5.0
            if "success" in first_face:
                values[first_face["success"].to_numpy() == 0] = 0.0
        times = clip.times
        return stream(values[self._rows(first_face, times, clip)], times)

    @staticmethod
    def _rows(table: pd.DataFrame, times: NDArray[np.float64], clip: Material) -> NDArray[np.int64]:
        if "timestamp" in table:
            stamps = table["timestamp"].to_numpy(dtype=np.float64)
            return np.abs(stamps[None] - times[:, None]).argmin(axis=1)
        return np.clip(np.rint(np.linspace(0, len(table) - 1, len(times))).astype(np.int64), 0, len(table) - 1)


class Folder(Extractor):
    """Arrays ``(T, width)`` per clip: ``<clip>.pt`` (as published; read without executing it) or ``<clip>.npy``.

    The width is that of the folder's first file. An array of zeros alone is what published extraction left where it
    failed; the clip then counts as without this stream.
    """

    def __init__(self, source: str) -> None:
        self.folder = folder_named("folder", source)
        files = sorted(path for path in self.folder.iterdir() if path.suffix in (".pt", ".npy"))
        if not files:
            raise UsageError(f"features: {self.folder} holds no .pt or .npy file")
        self.width = read_array(files[0]).shape[1]
        self.described = f"folder:{source}"

    def __call__(self, clip: Material) -> Stream:
        path = file_of(self.folder, clip, (".pt", ".npy"))
        values = read_array(path)
        if values.shape[1] != self.width:
            raise MienError(f"{path}: {values.shape[1]} values per step, the folder's first file has {self.width}")
        if not values.any():
            raise MienError(f"{path}: zeros alone, left by an extraction that failed")
        # times of such files are not known; they were taken evenly from first to last
        return stream(values, np.linspace(0.0, 1.0, len(values)))


def read_array(path: Path) -> NDArray[np.float32]:
    """A float array ``(T, width)`` of a ``.pt`` or ``.npy`` file. Nothing in it is executed."""
    if path.suffix == ".npy":
        return read_steps(path)
    found = read_pickled(path)
    if not isinstance(found, Tensor):
        raise MienError(f"{path} holds a {type(found).__name__}, not one tensor")
    return as_steps(found.detach().float().cpu().numpy(), path)


def folder_named(kind: str, source: str) -> Path:
    """The folder that a request names."""
    if not source or not Path(source).is_dir():
        given = f"{source!r} is no folder" if source else "needs a folder"
        raise UsageError(f"features: {kind} {given}; give it as in fau={kind}:path/to/folder")
    return Path(re.sub(r"/+$", "", source))
