"""Werewolf-XL: people play; valence, arousal and dominance of every utterance."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts
from mien.data.corpora.survey import Survey
from mien.data.tables import read_table
from mien.errors import UsageError

VALUES = ("arousal", "valence", "dominance")
_LAST_SESSION = {"1": 6, "2": 12, "3": 18, "4": 24, "5": 30}
_NAME = re.compile(r"(\d\d)_(\d\d)_(\d+)")
# Columns of the authors' own tables, of two years.
_KNOWN = (
    {"id": "speaker_audio", "valence": "Pleasure_average", "arousal": "Arousal_average",
     "dominance": "Dominance_average"},
    {"id": "VideoName", "valence": "Mean_P_1_2_4", "arousal": "Mean_A_1_2_4", "dominance": "Mean_D_1_2_4"},
)  # fmt: skip


def look(survey: Survey) -> pd.DataFrame:
    """Clips of a table of labels. Its official form is not known, so it and its columns can be named."""
    tables = [read_table(file, columns["id"])[list(columns.values())].rename(columns=_turned(columns))
              for file, columns in _tables(survey)]  # fmt: skip
    rows = pd.concat(tables, ignore_index=True)
    rows["id"] = [Path(str(name)).stem.removesuffix("_aligned") for name in rows["id"]]
    odd = [name for name in rows["id"] if not _NAME.fullmatch(name)]
    if odd:
        raise UsageError(f"{survey.root}: {odd[0]!r} is no clip <session>_<player>_<number>, such as 01_01_128")
    rows = rows.drop_duplicates("id", ignore_index=True)
    session = rows["id"].str.slice(0, 2)
    rows["fold"] = [next(fold for fold, last in _LAST_SESSION.items() if int(one) <= last) for one in session]
    rows = rows.assign(group=session, seat=rows["id"].str.slice(0, 5))
    if survey.choices["pictures"] == "faces":
        survey.cropped = True
        folders = survey.folder("openface", what="openface/<clip>/<clip>_aligned with frames of faces")
        return survey.match(rows, _aligned(survey, folders), folders, archive="the aligned faces")
    return survey.match(rows, survey.clips(survey.root, key=_clip), survey.root, unlisted=None, archive="the clips")


def _tables(survey: Survey) -> list[tuple[Path, dict[str, str]]]:
    if survey.choices["columns"]:
        pairs = (pair.partition(":") for pair in survey.choices["columns"].split(","))
        own = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
        if not survey.choices["table"] or set(own) != {"id", *VALUES}:
            raise UsageError("werewolf-xl: columns=id:..,arousal:..,valence:..,dominance:.. goes with table=FILE")
        return [(survey.root / survey.choices["table"], own)]
    given = survey.choices["table"]
    files = [survey.root / given] if given else sorted(survey.root.rglob("*.csv"))
    found = []
    for file in files:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            header = {name.strip() for name in lines.readline().split(",")}
        found += [(file, columns) for columns in _KNOWN if set(columns.values()) <= header]
    if not found:
        raise UsageError(
            f"{survey.root}: no table with clips and values here; name it: --choose table=FILE "
            "--choose columns=id:VideoName,arousal:Mean_A,valence:Mean_P,dominance:Mean_D"
        )
    return found


def _turned(columns: dict[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in columns.items()}


def _aligned(survey: Survey, folder: Path) -> dict[str, str]:
    return survey.frame_folders(folder, 2, lambda path: path.name.removesuffix("_aligned"))


def _clip(path: PurePosixPath) -> str:
    return path.stem if _NAME.fullmatch(path.stem) else ""


CORPUS = Corpus(
    name="werewolf-xl",
    title="Werewolf-XL, IEEE TAFFC 2021",
    paper="doi 10.1109/TAFFC.2021.3101563",
    licence="not known",
    access="agreement by e-mail to the authors (Zhejiang University)",
    link="https://doi.org/10.1109/TAFFC.2021.3101563",
    layout="""\
01_01_128                            session _ player _ number: name of a clip
openface/01_01_128/01_01_128_aligned/*.bmp, *.jpg     aligned faces, as users make them
<table>.csv                          VideoName (or speaker_audio) and a mean of each value; official form not known""",
    look=look,
    targets=VALUES,
    subjects="129 people in 30 sessions; the same person may sit in several, and the map is not known",
    splits="none official; the column fold holds the 5 folds by session of SVFAP and HiCMAE",
    published=True,
    choices=(
        Choice("pictures", ("faces", "recordings"), "aligned faces in folders, or clips"),
        Choice("table", (), "table of labels, inside the folder (default: every one with known columns)"),
        Choice("columns", (), "its columns: id:..,arousal:..,valence:..,dominance:.."),
    ),
    counts={
        "speakers": Counts(
            total=14457, parts=dict(zip(_LAST_SESSION, (3346, 2747, 3066, 3527, 1771), strict=True)), remembered=True
        )
    },
    used_by=("SVFAP, HiCMAE: regression of the three values of 14,632 (lists: 14,457) clips of speakers, 5 folds",),
    quirks=("values lie between about -1.5 and 2; the official scale is not known",),
)
