"""RECOLA: people solve a task over a call; six raters give arousal and valence every 40 ms."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pandas as pd

from mien.data.corpora import courses
from mien.data.corpora.contract import Choice, Corpus, Counts
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_headed
from mien.errors import UsageError

PUBLIC = (16, 17, 19, 21, 23, 25, 26, 28, 30, 34, 37, 39, 41, 42, 43, 45, 46, 48, 56, 58, 62, 64, 65)
_PARTS = {"train": "train", "dev": "validation", "test": "test"}
_VIDEOS = (".mp4", ".avi", ".mkv")


def look(survey: Survey) -> pd.DataFrame:
    """People with ratings of arousal and valence, as first released or in the form of the AVEC challenges."""
    if survey.choices["form"] == "avec":
        return _avec(survey)
    ratings = survey.folder("emotional_behaviour", what="RECOLA-Annotation/emotional_behaviour/{arousal,valence}")
    rated = _both(survey, ratings, r"P\d+", ".csv")
    rows = pd.DataFrame({"id": list(rated), "subject": list(rated)})
    if absent := sorted({f"P{number}" for number in PUBLIC} - set(rated)):
        survey.say("error", f"{len(absent)} of 23 people have no ratings", absent, "unpack RECOLA-Annotation")
    rows = _with_groups(survey, rows)
    videos = survey.folder("RECOLA-Video-recordings", what="P16.mp4 and so on")
    rows = survey.match(rows, survey.clips(videos, _VIDEOS), videos, archive="RECOLA-Video-recordings", of="rated")
    survey.courses = {
        name: courses.in_files({value: [file] for value, file in rated[name].items()}) for name in rows["id"]
    }
    return rows


def _both(survey: Survey, folder: Path, pattern: str, suffix: str) -> dict[str, dict[str, Path]]:
    """Files of arousal and valence by name, where there are both."""
    files: dict[str, dict[str, Path]] = {}
    for value in ("arousal", "valence"):
        inside = survey.folder(value, inside=folder, what=f"ratings of {value}")
        for path in sorted(inside.glob(f"*{suffix}")):
            if re.fullmatch(pattern, path.stem):
                files.setdefault(path.stem, {})[value] = path
    if half := sorted(name for name, own in files.items() if len(own) < 2):
        survey.say("error", f"{len(half)} recording(s) lack arousal or valence", half)
    both = {name: own for name, own in files.items() if len(own) == 2}
    if not both:
        raise UsageError(f"{folder}: no file of ratings with arousal and valence; unpack the annotation")
    return dict(sorted(both.items(), key=lambda item: [int(part) for part in re.findall(r"\d+", item[0])]))


def _with_groups(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    """The pair that each person was in, from the metadata (columns User and Group_id), where it is there."""
    folder = next((path for path in survey.root.rglob("RECOLA-metadata*.csv")), None)
    if folder is None:
        survey.say("note", "RECOLA-metadata*.csv is missing: who talked with whom is not known")
        return rows
    table = read_headed(folder, ("User", "Group_id"), ";")
    users = "P" + table["User"].str.extract(r"(\d+)", expand=False)
    return rows.assign(group=rows["id"].map(dict(zip(users, table["Group_id"], strict=True))))


def _avec(survey: Survey) -> pd.DataFrame:
    gold = survey.choices["labels"] == "gold"
    names = ("ratings_gold_standard", "gs_1") if gold else ("ratings_individual", "individual")
    rated = _both(survey, survey.folder(*names, what="ratings of the challenge"), r"(train|dev|test)_\d+",
                  ".arff" if gold else ".csv")  # fmt: skip
    parts = [_PARTS[name.split("_")[0]] for name in rated]
    rows = pd.DataFrame({"id": list(rated), "subject": list(rated), "split": parts})
    folder = survey.folder("recordings_video", "RECOLA-Video-recordings", what="train_1.mp4 and so on")
    rows = survey.match(rows, survey.clips(folder, _VIDEOS), folder, unlisted="note", archive="recordings_video")
    for name in rows["id"]:
        files = rated[name]
        survey.courses[name] = (
            {value: partial(courses.of_arff, file) for value, file in files.items()}
            if gold
            else courses.in_files({value: [file] for value, file in files.items()})
        )
    survey.variant = "avec"
    return rows


CORPUS = Corpus(
    name="recola",
    title="RECOLA, FG 2013",
    paper="doi 10.1109/FG.2013.6553805",
    licence="research only; a permanent academic signs",
    access="agreement on the RECOLA site of the Université de Fribourg (DIVA)",
    link="https://diuf.unifr.ch/main/diva/recola",
    layout="""\
RECOLA-Annotation/emotional_behaviour/{arousal,valence}/P16.csv     time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3
RECOLA-Video-recordings/P16.mp4      RECOLA-Audio-recordings/P16.wav      RECOLA-metadata....csv
AVEC 2016: ratings_individual/{arousal,valence}/train_1.csv, ratings_gold_standard/.../train_1.arff,
           recordings_video/train_1.mp4      AVEC 2018: labels/individual, labels/gs_1""",
    look=look,
    targets=("arousal", "valence"),
    subjects="23 public people of 46; pairs talk with each other (column group, from the metadata)",
    splits="none in the first release: divide by subject; the form of AVEC has train, dev (called validation) and test",
    choices=(
        Choice("form", ("original", "avec"), "as first released, or as in the AVEC challenges"),
        Choice("labels", ("raters", "gold"), "for avec: the six raters, or the gold standard"),
        *courses.CHOICES,
    ),
    counts={
        "original": Counts(total=23, subjects=23),
        "avec": Counts(total=18, by="split", parts={"train": 9, "validation": 9}),
    },
    known={"P17": "ratings without a video in at least one copy"},
    used_by=(
        "SS-VAERR: pieces of 20 s, tested on what it validates on; `mien corpora continuous recola` reads its folders",
    ),
    quirks=(
        "raters answer 2 to 4 s late: choose delay",
        "labels of the test part were not released; which P number is which train_k is not known",
    ),
)
