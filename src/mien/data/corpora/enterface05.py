"""eNTERFACE'05: people react to short stories with five sentences for each of six emotions."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pandas as pd

from mien.data.corpora.contract import Corpus, Counts, Label
from mien.data.corpora.survey import Survey

_COMMON = {"anger": "angry", "happiness": "happy", "sadness": "sad"}
_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
_PLACE = re.compile(r"subject[\W_]*(\d+)/(\w+)/sentence[\W_]*(\d)/[^/]+", re.IGNORECASE)
_LAST_SUBJECT = {"1": 10, "2": 19, "3": 28, "4": 37, "5": 44}


def look(survey: Survey) -> pd.DataFrame:
    """Clips by the folders that they lie in: the names of files are wrong here and there."""
    folder = survey.maybe("enterface database") or survey.root
    found = survey.clips(folder, (".avi", ".mp4"), _key)
    long = survey.clips(
        folder, (".avi",), lambda path: str(path) if re.search(r"subject[\W_]*6/", f"{path}", re.I) else ""
    )
    if long:
        survey.say("note", "subject 6 was never cut into sentences and is left out", sorted(long))
    listed = pd.DataFrame([_row(*take) for take in takes()])
    return survey.match(listed, found, folder, archive="the recordings of these subjects", of="designed")


def takes() -> list[tuple[int, str, int]]:
    """Subject, emotion and sentence of every clip: subject 6 is uncut, subject 23 lacks three sentences."""
    return [
        (subject, emotion, sentence)
        for subject in range(1, 45)
        for emotion in _NAMES
        for sentence in range(1, 6)
        if subject != 6 and not (subject == 23 and emotion == "happiness" and sentence <= 3)
    ]


def _row(subject: int, emotion: str, sentence: int) -> dict[str, str]:
    fold = next(fold for fold, last in _LAST_SUBJECT.items() if subject <= last)
    person = f"{subject:02d}"
    return {"id": f"{person}/{emotion}/{sentence}", "label": emotion, "subject": person, "fold": fold}


def _key(path: PurePosixPath) -> str:
    match = _PLACE.search(path.as_posix())
    return f"{int(match[1]):02d}/{match[2].lower()}/{match[3]}" if match and int(match[1]) != 6 else ""


CORPUS = Corpus(
    name="enterface05",
    title="eNTERFACE'05 Audio-Visual Emotion Database, ICDE Workshops 2006",
    paper="doi 10.1109/ICDEW.2006.145",
    licence="research use",
    access="open download from the site of eNTERFACE'05 (enterface.net/enterface05, emotion)",
    link="https://enterface.net/enterface05",
    layout="""\
enterface database/subject 1/anger/sentence 1/s1_an_1.avi
                   subject N/{anger,disgust,fear,happiness,sadness,surprise}/sentence 1..5/*.avi
                   subject 6: one uncut file per emotion""",
    look=look,
    labels=tuple(Label(at, name, name, _COMMON.get(name, name)) for at, name in enumerate(_NAMES)),
    subjects="43 people (1 to 44 without 6)",
    splits="none official; the column fold holds the 5 folds by subject of SVFAP and MAE-DFER, in order",
    counts={
        "sentences": Counts(
            total=1287,
            parts=dict(zip(_LAST_SUBJECT, (270, 270, 267, 270, 210), strict=True)),
            classes=dict.fromkeys(_NAMES, 215) | {"happiness": 212},
            part_classes={"1": dict.fromkeys(_NAMES, 45)},
            subjects=43,
        )
    },
    used_by=("SVFAP, MAE-DFER: 5 folds by subject, faces cut with OpenFace",),
    quirks=(
        "names of files repeat and lie (all of subject 11 are called s12): the folders tell",
        "the paper speaks of 42 subjects and 1,166 clips; the download has more",
    ),
)
