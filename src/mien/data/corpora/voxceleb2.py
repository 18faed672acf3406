"""VoxCeleb2: a million face tracks of celebrities who speak; people, but no emotion."""

from __future__ import annotations

import re

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts
from mien.data.corpora.survey import Survey, key_by
from mien.data.corpora.texts import read_lines
from mien.errors import UsageError

_SPLITS = {"dev": "train", "test": "test"}
_KEY = key_by(re.compile(r"(id\d{5})/([^/]+)/(\d+)\.mp4$"), "{1}/{2}/{3}")


def look(survey: Survey) -> pd.DataFrame:
    """All face tracks; vox2_meta.csv, where it is there, says whose should be there."""
    wanted = ("dev", "test") if survey.choices["part"] == "both" else (survey.choices["part"],)
    people = _people(survey)
    tables = [_part(survey, part, people) for part in wanted]
    survey.variant = survey.choices["part"]
    survey.cropped = True
    return pd.concat(tables, ignore_index=True)


def _part(survey: Survey, part: str, people: pd.DataFrame | None) -> pd.DataFrame:
    folder = survey.folder(part, what=f"{part}/mp4 with a folder per person")
    if (inner := survey.maybe("mp4", inside=folder)) is not None:
        folder = inner
    found = survey.clips(folder, (".mp4",), _KEY)
    if not found:
        raise UsageError(f"{folder}: no <person>/<video>/<number>.mp4 here; unpack vox2_{part}_mp4.zip into it")
    frame = pd.DataFrame({"id": list(found), "path": list(found.values())})
    frame["subject"] = frame["id"].str.slice(0, 7)
    frame["group"] = frame["id"].str.rsplit("/", n=1).str[0]
    frame["split"] = _SPLITS[part]
    if people is not None:
        theirs = set(people.index[people["set"] == part])
        if lost := sorted(theirs - set(frame["subject"])):
            count = f"{len(lost):,} of {len(theirs):,} people of {part} are not there"
            survey.say("error", count, lost, f"unpack the rest of vox2_{part}_mp4.zip")
        frame["sex"] = frame["subject"].map(people["gender"])
    return frame


def _people(survey: Survey) -> pd.DataFrame | None:
    """Gender and set by person; names of columns and values carry blanks."""
    file = survey.maybe("vox2_meta.csv", files=True)
    if file is None:
        survey.say("warning", "vox2_meta.csv is missing: whose clips should be there was not checked")
        return None
    rows = [[field.strip() for field in line.split(",")] for line in read_lines(file)]
    header = [name.lower() for name in rows[0]]
    if not {"voxceleb2 id", "gender", "set"} <= set(header):
        raise UsageError(f"{file}: the header {', '.join(rows[0])} lacks VoxCeleb2 ID, Gender or Set")
    table = pd.DataFrame(rows[1:], columns=header).set_index("voxceleb2 id")
    return table.assign(gender=table["gender"].map({"m": "male", "f": "female"}))


CORPUS = Corpus(
    name="voxceleb2",
    title="VoxCeleb2, Interspeech 2018",
    paper="doi 10.21437/Interspeech.2018-1929",
    licence="metadata CC BY 4.0",
    access="form on the VoxCeleb site of Oxford's Visual Geometry Group; the video is not offered everywhere any more",
    link="https://www.robots.ox.ac.uk/~vgg/data/voxceleb",
    layout="""\
dev/mp4/id08423/oEx3CRfDXMQ/00048.mp4     vox2_dev_mp4_parta*: person / YouTube video / utterance, 224 x 224, 25 fps
test/mp4/id00017/.../00001.mp4            vox2_test_mp4.zip
vox2_meta.csv                             VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set""",
    look=look,
    subjects="6,112 people; the folder is the person",
    splits="official: dev (called train here) and test, disjoint by person",
    choices=(Choice("part", ("dev", "test", "both"), "which part"),),
    counts={
        "dev": Counts(total=1092009, subjects=5994),
        "test": Counts(total=36237, subjects=118, remembered=True),
        "both": Counts(total=1128246, subjects=6112, remembered=True),
    },
    used_by=("SVFAP, MAE-DFER, HiCMAE: pretraining on dev; frames cropped to rows 0-159 and columns 32-191",),
    quirks=("some 283 clips of dev have no readable picture in at least one copy: training skips and counts them",),
)
