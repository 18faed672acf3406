"""Any corpus with a folder of frames per clip, with a table of labels or without."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mien.data.corpora.class_folders import CHOICES, with_subjects
from mien.data.corpora.contract import Choice, Corpus
from mien.data.corpora.survey import Survey
from mien.data.sources import PICTURES
from mien.data.tables import read_table
from mien.errors import UsageError


def look(survey: Survey) -> pd.DataFrame:
    """Folders that hold pictures, at whatever depth; a table adds columns by ``id``, the path of the folder."""
    folders = survey.clips(survey.root, PICTURES, lambda path: path.as_posix())
    found = dict.fromkeys(Path(name).parent.as_posix() for name in folders)
    found.pop(".", None)
    if not found:
        raise UsageError(f"{survey.root}: no folder of pictures here")
    rows = pd.DataFrame({"id": sorted(found)})
    fps = survey.choices["fps"]
    survey.cropped = survey.choices["faces"] == "yes"
    if survey.choices["table"]:
        rows = read_table(survey.root / survey.choices["table"], "id")
        rows["id"] = rows["id"].astype("str").str.strip("/")
    rows = survey.match(rows, {name: f"{survey.root}/{name}" for name in found}, survey.root, archive="the frames")
    rows = rows.assign(fps=float(fps)) if fps else rows
    return rows if "subject" in rows else with_subjects(survey, rows)


CORPUS = Corpus(
    name="frame-folders",
    title="Any corpus with a folder of frames per clip",
    paper="",
    licence="yours",
    access="yours",
    layout="""\
<any folders>/<clip>/*.jpg      frames in the order of the numbers in their names
<table>.csv                     id (path of the folder), then subject, split, fold, label, ... as in a manifest""",
    look=look,
    subjects="from the table, or from the names if asked for",
    splits="from the table",
    choices=(
        Choice("table", (), "table with labels, inside the folder"),
        Choice("fps", (), "frames per second"),
        *CHOICES,
    ),
)
