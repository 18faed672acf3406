"""Tables on disk: CSV, Parquet and the published list form, read with one clear line for what is wrong."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd

from mien.errors import UsageError
from mien.files import complete
from mien.media import HeldFile

# Read as text whatever they look like: subject "0012" is not the number 12.
TEXT_COLUMNS = ("id", "path", "subject", "split", "fold", "group", "audio", "labels")
_MEDIA_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".flv", ".m4v", ".wmv", ".jpg", ".png"}


def read_table(path: Path | HeldFile, wanted: str) -> pd.DataFrame:
    """Table of a CSV (header; commas, semicolons or tabs) or Parquet file, or of a list in the published form.

    Where fields are not parted by commas, a column of numbers like ``0,5`` holds numbers: spreadsheets of half of
    Europe write tables so.

    Args:
        path: the file. ``.parquet`` needs the extra ``mien[parquet]``.
        wanted: column that the header must have. A text file whose first line has no such column, but does begin
            with something that looks like a path to a video or folder, is read as a list without header.

    Raises:
        UsageError: the file is missing, empty, not a table, or has no column ``wanted``.
    """
    if isinstance(path, Path) and not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise UsageError(f"{path}: {what}; give a CSV or Parquet table")
    if str(path).lower().endswith((".parquet", ".pq")):
        table = _read_parquet(path)
    else:
        text = _read_text(path)
        header = text.split("\n", 1)[0]
        separator = _separator(header, wanted)
        if wanted not in _fields(header, separator) and (listed := _read_published(path, text)) is not None:
            return listed
        table = _read_csv(path, separator)
    if wanted not in table.columns:
        raise UsageError(f"{path}: no column {wanted!r} (found: {_listing(table.columns)}); name it in the header")
    if table.empty:
        raise UsageError(f"{path}: a header but no rows; add at least one")
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet by its suffix; it appears under its name only when complete.

    Raises:
        MienError: the file cannot be written.
        UsageError: Parquet is asked for and pyarrow is not installed.
    """
    try:
        with complete(path) as part:
            if path.suffix.lower() in {".parquet", ".pq"}:
                table.to_parquet(part, index=False)
            else:
                table.to_csv(part, index=False, lineterminator="\n")
    except ImportError as error:
        raise UsageError(f"{path}: Parquet needs pyarrow; pip install 'mien[parquet]' or write a .csv") from error


def _stream(path: Path | HeldFile) -> Any:
    """What pandas reads: a path, or bytes in memory as a file."""
    return io.BytesIO(path.data) if isinstance(path, HeldFile) else path


def _read_text(path: Path | HeldFile) -> str:
    try:
        data = path.data if isinstance(path, HeldFile) else path.read_bytes()
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except (UnicodeDecodeError, OSError) as error:
        why = (
            error.strerror if isinstance(error, OSError) else "is no text in UTF-8; save it as CSV in UTF-8, or Parquet"
        )
        raise UsageError(f"{path}: {why}") from error
    if not text.strip():
        raise UsageError(f"{path}: the table is empty; it needs a header and rows")
    return text


def _separator(header: str, wanted: str) -> str:
    """What parts the fields of a header: that by which it has the column, else that which occurs most."""
    signs = (",", ";", "\t")
    having = [sign for sign in signs if wanted in _fields(header, sign)]
    return having[0] if having else max(signs, key=header.count)


def _fields(header: str, separator: str) -> list[str]:
    return [field.strip().strip('"').strip() for field in header.split(separator)]


def _read_csv(path: Path | HeldFile, separator: str) -> pd.DataFrame:
    kinds: dict[Any, Any] = dict.fromkeys(TEXT_COLUMNS, "str")
    try:
        # Only an empty field is missing: "None" and "NA" may be names of classes or subjects.
        table = pd.read_csv(
            _stream(path),
            dtype=kinds,
            sep=separator,
            encoding="utf-8-sig",
            skipinitialspace=True,
            keep_default_na=False,
            na_values=_MISSING,
        )
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: not a CSV table ({str(error).strip()})") from error
    if not isinstance(table.index, pd.RangeIndex):
        sign = "tabs" if separator == "\t" else f"a {separator!r} in them"
        raise UsageError(f"{path}: not a CSV table (rows have more fields than the header); quote fields with {sign}")
    table = table.rename(columns=lambda name: str(name).strip())
    return table if separator == "," else _with_numbers(table)


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with decimal commas made points in columns that mostly hold numbers.

    A word among them stays, so that messages name it and not the first number.
    """
    for name in table.columns.difference([*TEXT_COLUMNS]):
        if not pd.api.types.is_numeric_dtype(table[name]):
            text = table[name].astype("str").str.strip().where(table[name].notna())
            decimal = text.str.fullmatch(_DECIMAL).fillna(False).astype(bool)
            if decimal.sum() > 0.5 * text.notna().sum():
                points = text.where(~decimal, text.str.replace(",", "."))
                table[name] = pd.to_numeric(points) if decimal.sum() == text.notna().sum() else points
    return table


_DECIMAL = r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?"
# Empty in every column; the usual spellings of "no number" too, except where text is expected.
_MISSING = ["", "NaN", "nan"]


def _read_parquet(path: Path | HeldFile) -> pd.DataFrame:
    try:
        table = pd.read_parquet(_stream(path))
    except ImportError as error:
        raise UsageError(f"{path}: Parquet needs pyarrow; pip install 'mien[parquet]' or give a .csv") from error
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: not a Parquet table ({str(error).strip().splitlines()[0]})") from error
    for name in TEXT_COLUMNS:
        if name in table.columns:
            table[name] = table[name].astype("str").where(table[name].notna())
    return table


def _read_published(path: Path | HeldFile, text: str) -> pd.DataFrame | None:
    """Rows of a list without header, ``path label`` or ``path,label[,label...]``; None where it is not one."""
    lines = [line.strip() for line in text.splitlines()]
    rows = [_split_line(line) for line in lines if line]
    first = rows[0][0]
    there = isinstance(path, Path) and _there(path, first)
    if not ("/" in first or "\\" in first or Path(first).suffix.lower() in _MEDIA_SUFFIXES or there):
        return None
    widths = {len(row) for row in rows}
    if len(widths) > 1 or widths == {1}:
        odd = next(line for line, row in zip(lines, rows, strict=False) if len(row) != len(rows[0]) or len(row) == 1)
        raise UsageError(f"{path}: line {odd!r} does not have the form 'path label' of a list without header")
    width = widths.pop()
    names = ["label"] if width == 2 else [f"target_{index}" for index in range(width - 1)]
    table = pd.DataFrame(rows, columns=["path", *names])
    for name in names:
        numbers = pd.to_numeric(table[name], errors="coerce")
        if numbers.notna().all():
            table[name] = numbers
    return table


def _split_line(line: str) -> list[str]:
    """Path and labels of one line; a path may hold blanks, so labels are what follows it from the right."""
    if "," in line:
        return [field.strip() for field in line.split(",")]
    fields = line.split(" ")
    labels: list[str] = []
    while len(fields) > 1 and _is_number(fields[-1]):
        labels.insert(0, fields.pop())
    if not labels and len(fields) > 1:
        labels.append(fields.pop())
    return [" ".join(fields), *labels]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _there(table: Path, name: str) -> bool:
    try:
        return (table.parent / name).exists()
    except OSError:
        return False


def _listing(names: Any, limit: int = 8) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
