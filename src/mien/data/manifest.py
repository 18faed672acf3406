"""The manifest: the table of a corpus, one row per clip, with ids that do not depend on the order of rows."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.data.data_info import NAME, read_data_info
from mien.data.shards import Extent, read_address
from mien.data.tables import TEXT_COLUMNS, read_table, write_table
from mien.errors import UsageError

COLUMNS = (
    "id",
    "path",
    "start",
    "end",
    "subject",
    "split",
    "fold",
    "group",
    "audio",
    "labels",
    "fps",
    "offset",
    "bytes",
)


@dataclass(frozen=True)
class Row:
    """One clip of a corpus.

    Attributes:
        id: stable name of the row.
        path: video file, picture file or folder of frames.
        start, end: stretch of the file in seconds on its own clock; ``end`` is infinite where the file's end is meant.
        audio: file with the sound where it is not in ``path``; its clock is that of ``path``.
        labels: CSV with the annotation over time.
        subject: person, where known.
        fps: frames per second of a folder of frames, which has no clock of its own.
        extent: where all these files are inside a shard; their paths then only name them.
    """

    id: str
    path: Path
    start: float = 0.0
    end: float = math.inf
    audio: Path | None = None
    labels: Path | None = None
    subject: str | None = None
    fps: float | None = None
    extent: Extent | None = None


class Manifest:
    """Table of a corpus.

    Columns: ``path`` (required), ``start``, ``end`` (seconds on the file's clock), ``subject``, ``split``, ``fold``,
    ``group`` (rows that must not be torn apart), ``audio``, ``labels`` (CSV of per-frame annotation), ``fps`` (folders
    of frames), ``id``, ``offset`` and ``bytes`` (where a clip lies in its shard, see ``mien.data.packing``), and any
    further columns: targets. Relative paths count from the manifest's folder.

    ``id`` is given, or a digest of path, start and end as written, so it survives reordering and moving the folder.

    Args:
        frame: the rows.
        root: folder that relative paths count from; by default the one that the program runs in.
        name: what messages call the table.

    Raises:
        UsageError: a path is missing or not a file name, a time is not a time, or two rows have the same id.
    """

    def __init__(self, frame: pd.DataFrame, root: Path | str = ".", name: str = "manifest") -> None:
        self.root = Path(root).absolute()
        self.name = name
        self.frame = self._normalised(frame)
        self._position = pd.Index(self.frame["id"])
        # A row by way of the table costs ten times what the columns' own arrays cost, for every clip of every batch.
        self._columns = {column: self.frame[column].array for column in COLUMNS[1:] if column in self.frame}

    @classmethod
    def read(cls, path: Path | str) -> Manifest:
        """Read CSV, Parquet, or the published list (``path label`` by one space or comma, no header).

        A published list gets the column ``label``, or ``target_0``, ``target_1``, ... where it has several.
        The challenge's ``data_info.csv`` is known by its name (``mien.data.data_info``). A manifest of shards may
        lie at any address that fsspec knows (``s3://bucket/corpus/manifest.csv``), with the shards beside it.
        """
        if is_address(path):
            return cls._from_address(str(path))
        path = Path(path)
        if path.name == NAME:
            return cls(read_data_info(path), path.absolute().parent, name=str(path))
        return cls(read_table(path, wanted="path"), path.absolute().parent, name=str(path))

    @classmethod
    def _from_address(cls, address: str) -> Manifest:
        frame = read_table(read_address(address), wanted="path")
        if "offset" not in frame or frame["offset"].isna().any():
            raise UsageError(f"{address}: only shards are read from an address; make them with `mien corpora pack`")
        above = address.rpartition("/")[0]
        for column in ("path", "audio", "labels"):
            if column in frame:
                frame[column] = [value if pd.isna(value) else f"{above}/{value}" for value in frame[column]]
        return cls(frame, Path.cwd(), name=address)

    def write(self, path: Path | str) -> None:
        """Write CSV or Parquet by suffix, ids included. Paths inside the new folder become relative to it."""
        path = Path(path)
        folder = path.absolute().parent
        frame = self.frame.copy()
        for column in ("path", "audio", "labels"):
            if column in frame:
                frame[column] = [
                    value if is_address(value) else _relative(self._resolve(value), folder) for value in frame[column]
                ]
        write_table(frame, path)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"Manifest({self.name!r}, {len(self)} clips, columns: {', '.join(map(str, self.frame.columns))})"

    @property
    def ids(self) -> list[str]:
        """Ids in the order of rows."""
        found: list[str] = self.frame["id"].astype("str").to_numpy(dtype=object).tolist()
        return found

    def has(self, column: str) -> bool:
        """True where the column exists and holds at least one value."""
        return column in self.frame and bool(self.frame[column].notna().any())

    def positions(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Row numbers of ids; raises ``UsageError`` naming the first id that is not there."""
        wanted = list(ids)
        found = np.asarray(self._position.get_indexer(pd.Index(wanted, dtype=self._position.dtype)), dtype=np.int64)
        if (found < 0).any():
            missing = wanted[int(np.argmax(found < 0))]
            raise UsageError(f"{self.name}: no row has id {missing!r}; was the table changed since the split was made?")
        return found

    def select(self, ids: Iterable[str]) -> Manifest:
        """Manifest of the given rows, in that order."""
        return Manifest(self.frame.iloc[self.positions(ids)], self.root, self.name)

    def column(self, column: str, ids: Sequence[str] | None = None) -> pd.Series:
        """Values of a column for ids (all rows by default), indexed by id.

        Raises:
            UsageError: there is no such column; the message lists those there are.
        """
        if column not in self.frame:
            extra = [str(name) for name in self.frame.columns if name not in COLUMNS] or ["none"]
            raise UsageError(
                f"{self.name}: no column {column!r}; columns besides the standard ones are {', '.join(extra)}"
            )
        rows = self.frame if ids is None else self.frame.iloc[self.positions(ids)]
        return pd.Series(rows[column].to_numpy(), index=pd.Index(rows["id"]), name=column)

    def place(self, id_: str) -> str:
        """Where a row stands, for messages: ids are often digests that stand nowhere in the user's own table."""
        at = int(self.positions([id_])[0])
        return f"{self.name}: row {at + 1} ({self.frame['path'].iloc[at]})"

    def row(self, id_: str) -> Row:
        """The row with an id, paths resolved."""
        try:
            at = int(self._position.get_loc(id_))
        except KeyError:
            at = int(self.positions([id_])[0])
        values = {column: array[at] for column, array in self._columns.items()}

        def get(column: str) -> object:
            value = values.get(column)
            return None if value is None or pd.isna(value) else value

        start, end, subject, fps = get("start"), get("end"), get("subject"), get("fps")
        path = self._resolve(values["path"])
        assert path is not None
        return Row(
            id=id_,
            path=path,
            start=0.0 if start is None else float(str(start)),
            end=math.inf if end is None else float(str(end)),
            audio=self._resolve(get("audio")),
            labels=self._resolve(get("labels")),
            subject=None if subject is None else str(subject),
            fps=None if fps is None else float(str(fps)),
            extent=self._extent(values) if get("offset") is not None else None,
        )

    def _extent(self, values: dict[str, Any]) -> Extent:
        shard, _, name = str(values["path"]).rpartition("/")
        where = shard if is_address(shard) else str(self.root / shard)
        return Extent(where, int(values["offset"]), int(values["bytes"]), name.partition(".")[0])

    def _resolve(self, value: object) -> Path | None:
        if value is None or pd.isna(value):  # type: ignore[call-overload]
            return None
        return Path(str(value)) if is_address(value) else self.root / str(value)

    def _normalised(self, frame: pd.DataFrame) -> pd.DataFrame:
        if "path" not in frame:
            raise UsageError(f"{self.name}: no column 'path'; every row needs the path of a video or folder of frames")
        frame = frame.reset_index(drop=True)
        for column in TEXT_COLUMNS:
            if column in frame:
                text = frame[column].astype("str").str.strip()
                frame[column] = text.where(frame[column].notna() & (text != ""))
        frame["path"] = self._paths(frame)
        for column in ("start", "end", "fps"):
            if column in frame:
                frame[column] = self._numbers(frame, column)
        self._check_times(frame)
        self._check_extents(frame)
        frame["id"] = self._named(frame)
        self._check_unique(frame)
        first = [column for column in COLUMNS if column in frame]
        return frame[[*first, *(column for column in frame.columns if column not in first)]]

    def _named(self, frame: pd.DataFrame) -> list[str]:
        """Ids as given, and digests for rows without one."""
        known = frame["id"].notna().to_numpy() if "id" in frame else np.zeros(len(frame), dtype=bool)
        given = frame["id" if "id" in frame else "path"].to_numpy(dtype=object, copy=True)
        if not known.all():
            start, end = _stretches(frame)
            paths = frame["path"].to_numpy(dtype=object)
            for at in np.flatnonzero(~known):
                given[at] = _digest(paths[at], start[at], end[at])
        found: list[str] = given.tolist()
        return found

    def _paths(self, frame: pd.DataFrame) -> pd.Series:
        """Paths as they are kept. Only those that are odd are looked at one by one: tables have a million rows."""
        text = frame["path"]
        if text.isna().any():
            number = int(np.argmax(text.isna())) + 1
            raise UsageError(f"{self.name}: row {number} has no path; every row needs a video or folder of frames")
        odd = text.str.startswith(".") | text.str.endswith("/") | (os.sep != "/")
        for sign in ("\0", "//", "/."):
            odd |= text.str.contains(sign, regex=False)
        rows = np.flatnonzero(odd)
        if len(rows):
            paths = text.to_numpy(dtype=object, copy=True)
            packed = frame["offset"].notna().to_numpy() if "offset" in frame else np.zeros(len(frame), dtype=bool)
            for at in rows:
                paths[at] = self._clean(int(at) + 1, paths[at], bool(packed[at]))
            return pd.Series(paths, index=text.index, dtype=text.dtype)
        return text

    def _clean(self, number: int, text: str, packed: bool) -> str:
        if "\0" in text or (is_address(text) and not packed):
            raise UsageError(f"{self.name}: row {number}: {text!r} is not a file name; only files on disk are read")
        if packed and is_address(text):
            return text
        return Path(text).as_posix() if os.sep != "/" else str(PurePosixPath(text))

    def _numbers(self, frame: pd.DataFrame, column: str) -> pd.Series:
        numbers = pd.to_numeric(frame[column], errors="coerce").astype("float64")
        bad = frame[column].notna() & ~np.isfinite(numbers)
        if bad.any():
            row = frame[bad].iloc[0]
            raise UsageError(f"{self.name}: {column} of {row['path']!r} is {row[column]!r}, not a number of seconds")
        return numbers

    def _check_times(self, frame: pd.DataFrame) -> None:
        start, end = _stretches(frame)
        for bad, rule in (((start < 0), "start must be 0 or later"), ((end <= start), "end must come after start")):
            if bad.any():
                at = int(np.argmax(bad))
                raise UsageError(f"{self.name}: {frame['path'][at]!r} has {start[at]:g}..{end[at]:g} s; {rule}")
        if "fps" in frame and (frame["fps"] <= 0).any():
            row = frame[frame["fps"] <= 0].iloc[0]
            raise UsageError(f"{self.name}: fps of {row['path']!r} is {row['fps']:g}; it must be above 0")

    def _check_extents(self, frame: pd.DataFrame) -> None:
        """Where there are offsets there are whole numbers of bytes, and paths inside a shard."""
        if "offset" not in frame:
            return
        for column in ("offset", "bytes"):
            if column not in frame:
                raise UsageError(f"{self.name}: a column 'offset' but none 'bytes'; pack the corpus again")
            numbers = pd.to_numeric(frame[column], errors="coerce")
            bad = frame["offset"].notna() & ~((numbers >= 0) & (numbers % 1 == 0))
            if bad.any():
                row = frame[bad].iloc[0]
                raise UsageError(f"{self.name}: {column} of {row['path']!r} is {row[column]!r}, not a number of bytes")
            frame[column] = numbers.astype("Int64")

    def _check_unique(self, frame: pd.DataFrame) -> None:
        twice = frame["id"].duplicated(keep=False)
        if twice.any():
            rows = frame[twice]
            rows = rows[rows["id"] == rows["id"].iloc[0]]
            numbers = ", ".join(str(number + 1) for number in rows.index[:4])
            raise UsageError(
                f"{self.name}: rows {numbers} have the same id {rows['id'].iloc[0]!r} (path {rows['path'].iloc[0]!r}); "
                "remove the copies, or tell rows of one file apart by start and end or an id column"
            )


def is_address(path: object) -> bool:
    """True for what fsspec reads (``s3://...``), as opposed to a path."""
    return "://" in str(path)


def _stretches(frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    start = frame["start"].fillna(0.0) if "start" in frame else pd.Series(0.0, index=frame.index)
    end = frame["end"].fillna(math.inf) if "end" in frame else pd.Series(math.inf, index=frame.index)
    return np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)


def _digest(path: str, start: float, end: float) -> str:
    return hashlib.sha256(f"{path}\n{start:.6f}\n{end:.6f}".encode()).hexdigest()[:16]


def _relative(path: Path | None, folder: Path) -> str | None:
    if path is None:
        return None
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return str(path)
