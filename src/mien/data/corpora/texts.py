"""Official lists as they come: with carriage returns, blanks around fields, a mark at the start, old encodings."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mien.errors import UsageError


def read_lines(path: Path) -> list[str]:
    """Lines that hold something, as UTF-8 (with or without mark) or GB 18030.

    Raises:
        UsageError: the file is missing, empty or neither.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); unpack the official files again") from None
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
        if not lines:
            raise UsageError(f"{path}: the file is empty; unpack the official files again")
        return lines
    raise UsageError(f"{path}: is no text in UTF-8 or GBK; unpack the official files again")


def read_list(path: Path, columns: Sequence[str], separator: str | None = None) -> pd.DataFrame:
    """A list without header: fields in order, blanks around them removed.

    Args:
        path: the file.
        columns: names; lines may have more fields, which are left out.
        separator: None for blanks.

    Raises:
        UsageError: a line has too few fields.
    """
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = [field.strip() for field in (line.split() if separator is None else line.split(separator))]
        if len(fields) < len(columns):
            raise UsageError(f"{path}: line {number}, {line[:60]!r}, must hold {' and '.join(columns)}")
        rows.append(fields[: len(columns)])
    return pd.DataFrame(rows, columns=list(columns), dtype="str")


def read_headed(path: Path, wanted: Sequence[str], separator: str = ",") -> pd.DataFrame:
    """A table with header, all fields as text; names and fields lose the blanks around them.

    Raises:
        UsageError: a wanted column is missing, or a row has fewer fields than the header.
    """
    rows = [[field.strip() for field in row] for row in csv.reader(read_lines(path), delimiter=separator)]
    header = rows[0]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise UsageError(
            f"{path}: no column {missing[0]!r} (found: {', '.join(header[:8])}); is this the official file?"
        )
    width = len(header)
    short = next((number for number, row in enumerate(rows[1:], start=2) if len(row) < width), None)
    if short is not None:
        raise UsageError(f"{path}: line {short} has {len(rows[short - 1])} fields, the header {width}")
    return pd.DataFrame([row[:width] for row in rows[1:]], columns=header, dtype="str")
