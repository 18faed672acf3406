"""``data_info.csv`` of the MuSe-Reaction challenge (Hume-Reaction) as the table of a manifest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mien.data.tables import read_table
from mien.errors import UsageError

NAME = "data_info.csv"


def read_data_info(path: Path) -> pd.DataFrame:
    """Rows with ``id`` and ``path`` (``<id>.mp4`` beside the table), ``split`` and the label columns as they are.

    ``File_ID`` carries one bracket on each side (``[00001]``), which is no part of the file's name.
    """
    table = read_table(path, wanted="File_ID")
    if "Split" not in table:
        raise UsageError(f"{path}: no column 'Split'; give data_info.csv as the challenge hands it out")
    names = table["File_ID"].astype("str")
    odd = ~(names.str.startswith("[") & names.str.endswith("]"))
    if odd.any():
        raise UsageError(f"{path}: File_ID {names[odd].iloc[0]!r} is not in brackets, as [00001] is")
    stems = names.str.slice(1, -1)
    result = table.drop(columns=["File_ID", "Split"])
    result.insert(0, "split", table["Split"].str.lower())
    result.insert(0, "path", stems + ".mp4")
    result.insert(0, "id", stems)
    return result
