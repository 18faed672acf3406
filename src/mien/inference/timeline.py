"""The Timeline: what a model read from recordings, as one table over time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.errors import MienError, UsageError

INDEX = ("file", "track", "start", "end")
TRACK_COLUMNS = ("file", "track", "time", "x0", "y0", "x1", "y1", "score")
NOBODY = -1  # track id of spans in which no face was there to follow
DECIMALS = 6  # of all numbers in the table, so that every format reads back the same values
Floats = NDArray[np.float64]

_RESERVED = {*INDEX, "prediction", "confidence", "face", "used", "abstain"}


@dataclass(frozen=True)
class FileInfo:
    """One recording of a timeline: its path, length in seconds, picture size as shown, mean rate, and sound."""

    path: str
    duration: float
    width: int = 0
    height: int = 0
    fps: float = 0.0
    sound: bool = False


@dataclass
class Rows:
    """A block of rows of one track of one file, as the pipeline emits them.

    Attributes:
        track: id of the track, or ``NOBODY``.
        start, end: float64 ``(R,)`` seconds.
        values: float ``(R, K)``, NaN where nothing could be seen or heard.
        face: float ``(R,)`` share of the span's frames in which the track's face was there, 0..1.
        used: which modalities the values come from, ``"video"``, ``"sound"``, ``"video+sound"`` or ``""``, per row.
        strangeness: float ``(R,)`` how unlike training clips it is, 1 is the limit; NaN where the bundle cannot tell.
        abstain: why the row should not be taken for an answer, ``""`` where it may be.
    """

    track: int
    start: Floats
    end: Floats
    values: Floats
    face: Floats
    used: list[str]
    strangeness: Floats = field(default_factory=lambda: np.zeros(0))
    abstain: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.strangeness) != len(self.start):
            self.strangeness = np.full(len(self.start), np.nan)
        if len(self.abstain) != len(self.start):
            self.abstain = ["" if used else "no face" for used in self.used]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Outputs over time, for every face of every file.

    Attributes:
        frame: pandas table, sorted by its index ``(file, track, start, end)``. ``track`` numbers the faces of a file;
            -1 stands for spans in which nobody was seen. Columns in this order: one per output;
            for classification ``prediction`` (the most probable class) and ``confidence`` (its probability);
            ``face`` (share of the span's frames in which this face was seen, 0..1) and ``used`` (the modalities that
            the values come from, joined by ``+``); but for features ``abstain``, the reason why a row should not be
            taken for an answer (``no face``, ``too small``, ``too dark``, ``out of distribution``,
            ``low confidence``), empty where it may be; ``prediction`` is missing where it may not. Where there was
            nothing to see, values are NaN; a row is never left out: at every moment of a file there is one.
        kind: the task's kind (``classification``, ``dimensions``, ...) or ``features``.
        outputs: names of the output columns.
        files: what is known of every recording.
        tracks: where the faces were: ``file, track, time, x0, y0, x1, y1, score``; pixels of the upright picture.
            Between two samples of a track the box moves in a straight line; a gap is marked by a row of NaN.
        model: name of the model that made it.
        step: seconds between rows, None for one row per frame.
        smoothing: what was done to the outputs over time after the model, in words; empty: nothing.
    """

    frame: pd.DataFrame
    kind: str
    outputs: tuple[str, ...]
    files: Mapping[str, FileInfo] = field(default_factory=dict)
    tracks: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(TRACK_COLUMNS)))
    model: str = ""
    step: float | None = None
    smoothing: str = ""

    def __post_init__(self) -> None:
        if tuple(self.frame.index.names) != INDEX:
            raise MienError(
                f"a timeline is indexed by {', '.join(INDEX)}; got {', '.join(map(str, self.frame.index.names))}"
            )
        if tuple(self.frame.columns) != columns_of(self.kind, self.outputs):
            raise MienError(
                f"a {self.kind} timeline has the columns {', '.join(columns_of(self.kind, self.outputs))}; "
                f"got {', '.join(self.frame.columns)}"
            )

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        seen = sum(len(self.only(file).faces()) for file in self.files)
        size = f"{len(self.files)} file(s), {seen} face(s), {len(self)} rows"
        return f"Timeline({size}, {self.kind}: {', '.join(self.outputs[:8])})"

    def _repr_html_(self) -> str:
        """What notebooks show: the table."""
        return str(self.frame._repr_html_())  # type: ignore[operator]

    def only(self, file: str | os.PathLike[str] | None = None) -> Timeline:
        """The part of one file; ``file`` may be left out when there is only one.

        Raises:
            UsageError: the file is not part of this timeline, or several are and none was named.
        """
        name = self._name(file)
        rows = self.frame[self.frame.index.get_level_values("file") == name]
        tracks = self.tracks[self.tracks["file"] == name]
        return replace(self, frame=rows, files={name: self.files[name]}, tracks=tracks)

    def faces(self) -> list[int]:
        """Ids of the tracks that occur, ``NOBODY`` left out."""
        return sorted({int(track) for track in self.frame.index.unique("track")} - {NOBODY})

    def of(self, track: int) -> pd.DataFrame:
        """Rows of one track."""
        return self.frame[self.frame.index.get_level_values("track") == track]

    def _name(self, file: str | os.PathLike[str] | None) -> str:
        known = ", ".join(self.files)
        if file is None:
            if len(self.files) != 1:
                raise UsageError(f"this timeline holds {len(self.files)} files; name one of {known}")
            return next(iter(self.files))
        if str(file) not in self.files:
            raise UsageError(f"{file} is not part of this timeline, which holds {known}")
        return str(file)

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the table as CSV: the four index columns, then the others; six decimals, empty where NaN."""
        from mien.inference import tables

        return tables.write_csv(self, path)

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write everything, rows, files and boxes, as one JSON document; ``from_json`` reads it back."""
        from mien.inference import tables

        return tables.write_json(self, path)

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write the table as Parquet (needs ``pip install 'mien[parquet]'``)."""
        from mien.inference import tables

        return tables.write_parquet(self, path)

    def to_eaf(self, path: str | os.PathLike[str], file: str | os.PathLike[str] | None = None) -> Path:
        """Write one file's part as an ELAN document (EAF 3.0) linked to the recording: a tier per face and output."""
        from mien.inference import elan

        return elan.write_eaf(self.only(file), path)

    def to_html(self, path: str | os.PathLike[str], thumbnails: bool = False) -> Path:
        """Write a report that needs no network: curves per face. Pictures of faces only with ``thumbnails``."""
        from mien.inference import report

        return report.write_html(self, path, thumbnails)

    def overlay(
        self,
        out: str | os.PathLike[str],
        file: str | os.PathLike[str] | None = None,
        progress: Callable[[float, float], None] | None = None,
        beside: bool = False,
    ) -> Path:
        """Write the recording with boxes, labels and gauges drawn in, sound included, as MP4.

        With ``beside`` the valence-arousal plane stands at the right of the picture instead of in it.
        The recording is read again; ``progress`` is called with seconds done and seconds in all.
        """
        from mien.inference.overlay import write_overlay

        return write_overlay(self.only(file), out, progress, beside)

    @staticmethod
    def from_csv(path: str | os.PathLike[str]) -> Timeline:
        """Read a table that ``to_csv`` wrote. A CSV holds no boxes; lengths are taken from the last row."""
        from mien.inference import tables

        return tables.read_csv(path)

    @staticmethod
    def from_json(path: str | os.PathLike[str]) -> Timeline:
        """Read a document that ``to_json`` wrote: the same timeline, boxes included."""
        from mien.inference import tables

        return tables.read_json(path)


def columns_of(kind: str, outputs: Sequence[str]) -> tuple[str, ...]:
    """Columns of a timeline, in order.

    Raises:
        MienError: an output carries the name of one of the timeline's own columns, or occurs twice.
    """
    if clash := sorted(_RESERVED & set(outputs)):
        raise MienError(f"the output name {clash[0]!r} is a column of every timeline; rename that output")
    if len(set(outputs)) != len(outputs):
        raise MienError(f"output names must differ; got {', '.join(outputs)}")
    judged = ("prediction", "confidence") if kind == "classification" else ()
    return (*outputs, *judged, "face", "used", *(() if kind == "features" else ("abstain",)))


def make_timeline(
    blocks: Mapping[str, Sequence[Rows]],
    kind: str,
    outputs: Sequence[str],
    files: Mapping[str, FileInfo],
    tracks: pd.DataFrame | None = None,
    model: str = "",
    step: float | None = None,
) -> Timeline:
    """Gather the rows of every file into a timeline, sorted by the index."""
    parts = [_file_frame(name, rows, kind, outputs) for name, rows in blocks.items() if rows]
    frame = pd.concat(parts).sort_index() if parts else _file_frame("", [], kind, outputs)
    boxes = pd.DataFrame(columns=list(TRACK_COLUMNS)) if tracks is None else tracks
    return Timeline(frame, kind, tuple(outputs), dict(files), boxes, model, step)


def _file_frame(name: str, blocks: Sequence[Rows], kind: str, outputs: Sequence[str]) -> pd.DataFrame:
    columns = columns_of(kind, outputs)
    blocks = blocks or [Rows(NOBODY, np.zeros(0), np.zeros(0), np.zeros((0, len(outputs))), np.zeros(0), [])]
    values = np.concatenate([block.values for block in blocks]).astype(np.float64)
    start = np.concatenate([block.start for block in blocks]).round(DECIMALS)
    end = np.concatenate([block.end for block in blocks]).round(DECIMALS)
    track = np.concatenate([np.full(len(block.start), block.track, dtype=np.int64) for block in blocks])
    data = dict(zip(outputs, values.round(DECIMALS).T, strict=True))
    frame = pd.DataFrame(data, columns=list(outputs))
    abstain = pd.Series([reason for block in blocks for reason in block.abstain], dtype="str")
    if kind == "classification":
        frame = frame.join(_judged(values, outputs, abstain.eq("").to_numpy(dtype=bool)))
    frame["face"] = np.concatenate([block.face for block in blocks]).round(DECIMALS)
    frame["used"] = pd.Series([used for block in blocks for used in block.used], dtype="str")
    frame["abstain"] = abstain
    file = np.full(len(frame), name, dtype=object)
    index = pd.MultiIndex.from_arrays([pd.Index(file, dtype="str"), track, start, end], names=list(INDEX))
    return frame.set_axis(index)[list(columns)]


def _judged(values: Floats, outputs: Sequence[str], answered: NDArray[np.bool_]) -> pd.DataFrame:
    """``prediction`` and ``confidence`` of probabilities ``(R, K)``; missing where the row is NaN.

    ``prediction`` is missing, too, where the model is not to be asked.
    """
    seen = complete(values)
    safe = np.where(seen[:, None], values, 0.0)
    prediction = pd.Series(np.asarray(outputs, dtype=object)[safe.argmax(axis=1)], dtype="str").where(seen & answered)
    confidence = np.where(seen, safe.max(axis=1, initial=0.0), np.nan).round(DECIMALS)
    return pd.DataFrame({"prediction": prediction, "confidence": confidence})


def complete(values: Floats) -> NDArray[np.bool_]:
    """Rows of ``(R, K)`` that hold a value in every column."""
    return np.asarray(~np.isnan(values).any(axis=1), dtype=np.bool_)


def join_timelines(parts: Sequence[Timeline]) -> Timeline:
    """Several files' timelines of one model as one table."""
    if not parts:
        raise UsageError("no timeline to join; predict at least one file")
    first = parts[0]
    if any((part.kind, part.outputs) != (first.kind, first.outputs) for part in parts):
        raise UsageError("only timelines with the same outputs can be joined")
    files = {name: info for part in parts for name, info in part.files.items()}
    frame = pd.concat([part.frame for part in parts]).sort_index()
    tracks = pd.concat([part.tracks for part in parts], ignore_index=True)
    return replace(first, frame=frame, files=files, tracks=tracks)
