"""How the ten annotators of a DFEW clip voted: ``Annotation/annotation.xlsx``, held against the split lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mien.data.corpora.spreadsheet import read_sheet
from mien.data.corpora.survey import Survey
from mien.errors import UsageError

_ROWS, _SINGLE = 16372, 12059  # published: clips, and those with a single label


def with_votes(survey: Survey, file: Path, listed: pd.DataFrame, codes: Mapping[str, int]) -> pd.DataFrame:
    """Adds ``agreement``, the share of the votes for the label, and ``vote_<class>``, that for each class, 0 to 1.

    Args:
        survey: told of clips without votes and of odd numbers.
        file: seven columns of votes in the order of the classes, ``order`` (the clip) and ``label``.
        listed: rows of the split lists, with ``id`` and ``label``.
        codes: official number of each class.

    Raises:
        UsageError: a label differs from that of the lists, or this is no such table.
    """
    names = list(codes)
    table = _read(survey, file, names)
    own = table.reindex(listed["id"]).reset_index(drop=True)
    wanted = listed["label"].map(codes)
    if (odd := own["label"].notna() & (own["label"] != wanted)).any():
        at = int(odd.to_numpy().argmax())
        raise UsageError(
            f"{file}: the label of clip {listed['id'][at]} is {own['label'][at]:g} here and {wanted[at]} "
            f"({listed['label'][at]}) in the split lists; {int(odd.sum()):,} clip(s) differ: take both from one release"
        )
    if lost := sorted(listed["id"][own["label"].isna()]):
        survey.say("warning", f"{len(lost):,} listed clip(s) are not in {file.name} and have no votes", lost)
    shares = own[names].div(own[names].sum(axis=1).replace(0, float("nan")), axis=0).round(4)
    agreement = pd.Series([shares.loc[at, label] for at, label in enumerate(listed["label"])], dtype="float64")
    if (beaten := agreement < shares.max(axis=1)).any():
        survey.say("warning", "another class has more votes than the label", sorted(listed["id"][beaten]))
    return listed.assign(agreement=agreement, **{f"vote_{name}": shares[name] for name in names})


def _read(survey: Survey, file: Path, names: Sequence[str]) -> pd.DataFrame:
    """Votes by class and the number of the label, by clip; columns by name where they have the official ones."""
    rows = [row for row in read_sheet(file) if any(row)]
    official = [*(f"{at}{name}" for at, name in enumerate(names, start=1)), "order", "label"]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    places = [header.index(name) for name in official] if set(official) <= set(header) else list(range(len(official)))
    if places == list(range(len(official))) and header[: len(official)] != official:
        survey.say("warning", f"{file.name} has no header {', '.join(official)}: its columns are taken in this order")
    body = rows[1:] if header[:1] and not header[0].isdigit() else rows
    cells = [[row[at] if at < len(row) else "" for at in places] for row in body]
    table = pd.DataFrame(cells, columns=[*names, "id", "label"], dtype="str")
    numbers = table[[*names, "label"]].apply(pd.to_numeric, errors="coerce")
    clip = pd.to_numeric(table["id"].str.removesuffix(".mp4"), errors="coerce")
    if (odd := numbers.isna().any(axis=1) | clip.isna() | (numbers < 0).any(axis=1)).any():
        row = ", ".join(table[odd].iloc[0])
        raise UsageError(f"{file}: {row!r} is no row of seven votes, clip and label; take the official file")
    numbers.index = pd.Index([f"{int(number):05d}" for number in clip])
    if (twice := numbers.index[numbers.index.duplicated()]).size:
        raise UsageError(f"{file}: clip {twice[0]} has two rows; there is one for each")
    single = int((numbers["label"] > 0).sum())
    if (len(numbers), single) != (_ROWS, _SINGLE):
        counts = f"{len(numbers):,} clips and {single:,} single labels, published are {_ROWS:,} and {_SINGLE:,}"
        survey.say("warning", f"{file.name} has {counts}")
    return numbers
