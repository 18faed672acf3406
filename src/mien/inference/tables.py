"""Timelines as CSV, JSON and Parquet."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from mien.errors import MienError, UsageError
from mien.files import complete
from mien.inference.timeline import DECIMALS, INDEX, TRACK_COLUMNS, FileInfo, Timeline

FORMAT = 1
_TEXT = ("file", "prediction", "used", "abstain")
_JUDGED = ("prediction", "confidence")
_LAST = ("face", "used")
_ABSTAIN = "abstain"


def write_csv(timeline: Timeline, path: str | os.PathLike[str]) -> Path:
    """See ``Timeline.to_csv``."""
    with complete(path) as part:
        timeline.frame.to_csv(part, float_format=f"%.{DECIMALS}f", lineterminator="\n")
    return Path(path)


def read_csv(path: str | os.PathLike[str]) -> Timeline:
    """See ``Timeline.from_csv``."""
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
    except (OSError, ValueError) as error:
        raise MienError(f"{path}: not a readable CSV table ({error}); give a file that to_csv wrote") from error
    missing = [name for name in (*INDEX, *_LAST) if name not in table]
    if missing:
        raise MienError(f"{path}: the column {missing[0]!r} is missing; give a file that to_csv wrote")
    try:
        for name in [name for name in table if name not in _TEXT]:
            table[name] = pd.to_numeric(table[name].where(table[name] != ""))
    except ValueError as error:
        raise MienError(f"{path}: the column {name!r} holds something that is no number ({error})") from error
    outputs = tuple(name for name in table.columns if name not in {*INDEX, *_JUDGED, *_LAST, _ABSTAIN})
    kind = "classification" if "prediction" in table else _kind_of(outputs)
    if kind != "features" and _ABSTAIN not in table:
        raise MienError(f"{path}: the column {_ABSTAIN!r} is missing; give a file that this version's to_csv wrote")
    ends = table.groupby("file", sort=False)["end"].max()
    files = {str(name): FileInfo(str(name), float(end)) for name, end in ends.items()}
    return Timeline(_indexed(table), kind, outputs, files)


def _kind_of(outputs: tuple[str, ...]) -> str:
    """A CSV does not say what its outputs are; the names that embed writes are told from a task's."""
    return "features" if outputs == tuple(f"f{i}" for i in range(len(outputs))) else "dimensions"


def _indexed(table: pd.DataFrame) -> pd.DataFrame:
    for name in _TEXT:
        if name in table:
            table[name] = table[name].astype("str")
    if "prediction" in table:
        table["prediction"] = table["prediction"].where(table["prediction"].fillna("") != "")
    table["track"] = table["track"].astype("int64")
    for number in [name for name in table if name not in (*_TEXT, "track")]:
        table[number] = table[number].astype("float64")
    return table.set_index(list(INDEX))


def _header(timeline: Timeline) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": timeline.kind,
        "outputs": list(timeline.outputs),
        "model": timeline.model,
        "step": timeline.step,
        "smoothing": timeline.smoothing,
        "files": [asdict(info) for info in timeline.files.values()],
    }


def _plain(table: pd.DataFrame) -> dict[str, Any]:
    """Columns and rows as JSON knows them: null where NaN, numbers with at most six decimals."""
    numbers = table.select_dtypes("float").columns
    table = table.assign(**{name: table[name].round(DECIMALS) for name in numbers})
    filled = table.astype(object).where(table.notna(), None)
    return {"columns": [str(name) for name in table.columns], "data": filled.to_numpy().tolist()}


def document(timeline: Timeline) -> dict[str, Any]:
    """The whole timeline as plain data: header, rows and boxes."""
    header = _header(timeline)
    return header | {"rows": _plain(timeline.frame.reset_index()), "tracks": _plain(timeline.tracks)}


def write_json(timeline: Timeline, path: str | os.PathLike[str]) -> Path:
    """See ``Timeline.to_json``."""
    text = json.dumps(document(timeline), ensure_ascii=False, allow_nan=False)
    with complete(path) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def read_json(path: str | os.PathLike[str]) -> Timeline:
    """See ``Timeline.from_json``."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise MienError(f"{path}: format {content['format']!r} is not known; this mien reads format {FORMAT}")
        rows = pd.DataFrame(content["rows"]["data"], columns=content["rows"]["columns"])
        tracks = pd.DataFrame(content["tracks"]["data"], columns=list(TRACK_COLUMNS))
        files = {entry["path"]: FileInfo(**entry) for entry in content["files"]}
        frame = _indexed(rows)
        boxes = tracks.astype({"file": "str", "track": "int64"} | dict.fromkeys(TRACK_COLUMNS[2:], "float64"))
        return Timeline(
            frame,
            content["kind"],
            tuple(content["outputs"]),
            files,
            boxes,
            content["model"],
            content["step"],
            content.get("smoothing", ""),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MienError(f"{path}: not a timeline document ({error}); give a file that to_json wrote") from error


def write_parquet(timeline: Timeline, path: str | os.PathLike[str]) -> Path:
    """See ``Timeline.to_parquet``. What JSON keeps in its head is in the table's ``attrs``."""
    table = timeline.frame.reset_index()
    table.attrs = {"mien": _header(timeline)}
    with complete(path) as part:
        try:
            table.to_parquet(part, index=False)
        except ImportError as error:
            raise UsageError(f"{path}: Parquet needs pyarrow; pip install 'mien[parquet]', or take CSV") from error
    return Path(path)
