"""Hume-Reaction (MuSe 2022): people react to videos; seven intensities that they gave themselves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_headed
from mien.data.data_info import read_data_info
from mien.errors import UsageError

EMOTIONS = ("Adoration", "Amusement", "Anxiety", "Disgust", "Empathic-Pain", "Fear", "Surprise")
_SPLITS = {"train": "train", "devel": "validation", "val": "validation", "test": "test"}


def look(survey: Survey) -> pd.DataFrame:
    """Clips of ``data_info.csv``, or of ``partition.csv`` and ``labels.csv``; both forms go round."""
    info = survey.maybe("data_info.csv", files=True)
    rows = _muse(survey) if info is None else read_data_info(info).drop(columns="path")
    rows["split"] = rows["split"].str.strip().str.lower().map(_SPLITS)
    missing = [name for name in EMOTIONS if name not in rows]
    if missing:
        raise UsageError(f"{info or survey.root}: no column {missing[0]!r}; labels are {', '.join(EMOTIONS)}")
    rows[list(EMOTIONS)] = rows[list(EMOTIONS)].apply(pd.to_numeric, errors="coerce")
    survey.listing = rows
    rated = rows[list(EMOTIONS)].notna().all(axis=1)
    if (bare := rows["id"][~rated & (rows["split"] != "test")]).size:
        survey.say("error", f"{len(bare):,} clips of train and validation have no labels", sorted(bare))
    if survey.choices["test"] == "without" and not rated[rows["split"] == "test"].all():
        rows = rows[rated].reset_index(drop=True)
    videos = survey.clips(survey.root, (".mp4", ".webm", ".avi"), lambda path: path.stem.strip("[]"))
    return survey.match(rows, videos, survey.root, unlisted=None, archive="the raw videos")


def _muse(survey: Survey) -> pd.DataFrame:
    parts = survey.file("partition.csv", what="c2_muse_reaction, or data_info.csv")
    with parts.open(encoding="utf-8-sig") as lines:
        header = [name.strip() for name in lines.readline().split(",")]
    table = read_headed(parts, header)
    split = pd.DataFrame({"id": table[header[0]].str.strip("[]"), "split": table[header[-1]]})
    labels = read_headed(survey.file("labels.csv", inside=parts.parent), ("File_ID", *EMOTIONS))
    labels["id"] = labels["File_ID"].str.strip("[]")
    if labels["id"].duplicated().any():
        twice = labels["id"][labels["id"].duplicated()].iloc[0]
        raise UsageError(f"{Path(parts).parent / 'labels.csv'}: clip {twice} has two rows; there is one for each")
    return split.merge(labels[["id", *EMOTIONS]], on="id", how="left")


CORPUS = Corpus(
    name="hume-reaction",
    title="Hume-Reaction (MuSe-Reaction 2022)",
    paper="arXiv 2207.05691",
    licence="non-commercial research; a permanent academic signs",
    access="by e-mail to the competitions of Hume AI (github.com/EIHW/MuSe2022)",
    link="https://github.com/EIHW/MuSe2022",
    layout="""\
c2_muse_reaction/partition.csv      id in brackets, ..., train | devel | test
c2_muse_reaction/labels.csv         File_ID,Adoration,Amusement,Anxiety,Disgust,Empathic-Pain,Fear,Surprise
data_info.csv                       the other form: File_ID,Split,... with Train | Val | Test
<File_ID>.mp4                       raw videos, in whatever folders""",
    look=look,
    targets=EMOTIONS,
    subjects="2,222 people, not named in the label files",
    splits="official: train, validation (devel) and test, said to be disjoint by person; labels of test are withheld",
    published=True,
    choices=(Choice("test", ("without", "with"), "leave test clips without labels out, or keep them to be predicted"),),
    counts={
        "clips": Counts(
            total=25067,
            by="split",
            parts={"train": 15806, "validation": 4657, "test": 4604},
            remembered=True,
        )
    },
    used_by=("ViPER: trains on Train, figures on Val; challenge submissions have the header of labels.csv",),
    quirks=("webcams of very different frame rates; some clips without sound; some labels zero in all seven",),
)
