"""SEWA: people of six cultures watch adverts and talk about them; arousal, valence and liking over time."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from mien.data.corpora import courses
from mien.data.corpora.contract import Choice, Corpus, Counts
from mien.data.corpora.survey import Survey
from mien.errors import UsageError

_NAME = re.compile(r"[A-Z]+_C(\d)_S(\d+)_P(\d+)_[A-Z]+\d*(_\d+_\d+)?")
_RATED = re.compile(r"(?P<name>.+)_(?P<value>Arousal|Valence|Liking)_(?P<sense>AV|A|V)_Aligned[^/]*")
_AVEC = re.compile(r"(Train|Devel|Test)_(?:([A-Z]{2})_)?\d+")
_PARTS = {"Train": "train", "Devel": "validation", "Test": "test"}
_VIDEOS = (".avi", ".mp4", ".mkv")


def look(survey: Survey) -> pd.DataFrame:
    """Segments with their annotation, or the form of the AVEC challenges."""
    return _avec(survey) if survey.choices["form"] == "avec" else _segments(survey)


def _segments(survey: Survey) -> pd.DataFrame:
    rated = _annotations(survey)
    if not rated:
        raise UsageError(
            f"{survey.root}: no <segment>_Arousal_{survey.choices['annotated_from']}_Aligned*.csv here; unpack the "
            "annotation beside the segments, or choose another annotated_from"
        )
    videos = survey.clips(survey.root, _VIDEOS, _segment)
    if bare := sorted(set(videos) - set(rated)):
        survey.say("error", f"{len(bare):,} segments have no annotation of arousal and valence", bare)
    rows = pd.DataFrame([_row(name) for name in sorted(rated)])
    rows = survey.match(
        rows, videos, survey.root, unlisted=None, archive="the folders of these segments", of="annotated"
    )
    survey.courses = {name: courses.in_files(rated[name]) for name in rows["id"]}
    return rows


def _annotations(survey: Survey) -> dict[str, dict[str, list[Path]]]:
    """Files by segment and value, for segments with arousal and valence; liking only where all of them have it."""
    rated: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(survey.clips(survey.root, (".csv",), lambda path: path.as_posix()).values()):
        match = _RATED.fullmatch(Path(path).stem)
        if match and match["sense"] == survey.choices["annotated_from"] and _NAME.fullmatch(match["name"]):
            rated.setdefault(match["name"], {}).setdefault(match["value"].lower(), []).append(Path(path))
    values = ["arousal", "valence"]
    whole = {name: files for name, files in rated.items() if set(values) <= set(files)}
    values += ["liking"] if all("liking" in files for files in whole.values()) else []
    return {name: {value: files[value] for value in values} for name, files in whole.items()}


def _row(name: str) -> dict[str, str]:
    """The person is the P token; S is a session of two people, who must not be torn apart."""
    match = _NAME.fullmatch(name)
    assert match is not None
    return {"id": name, "subject": f"P{match[3]}", "group": f"S{match[2]}", "culture": f"C{match[1]}"}


def _segment(path: PurePosixPath) -> str:
    """Name of the segment: of its folder, else of the file."""
    return next((name for name in (path.parent.name, path.stem) if _NAME.fullmatch(name)), "")


def _avec(survey: Survey) -> pd.DataFrame:
    labels = survey.folder("labels", what="labels/Train_DE_01.csv and so on, of AVEC 2017 to 2019")
    files = {path.stem: path for path in sorted(labels.glob("*.csv")) if _AVEC.fullmatch(path.stem)}
    if not files:
        raise UsageError(f"{labels}: no Train_DE_01.csv or the like here; unpack the labels of the challenge")
    found = survey.clips(survey.root, _VIDEOS, lambda path: path.stem if path.stem in files else "")
    rows = pd.DataFrame([_part(name) for name in files])
    rows = survey.match(rows, found, survey.root, archive="the recordings of the challenge")
    for name in rows["id"]:
        survey.courses[name] = {
            value: partial(courses.of_column, files[name], at)
            for at, value in enumerate(("arousal", "valence", "liking"))
        }
    survey.variant = ""
    return rows


def _part(name: str) -> dict[str, str | None]:
    match = _AVEC.fullmatch(name)
    assert match is not None
    return {"id": name, "subject": name, "split": _PARTS[match[1]], "culture": match[2]}


CORPUS = Corpus(
    name="sewa",
    title="SEWA DB, IEEE TPAMI 2021",
    paper="doi 10.1109/TPAMI.2019.2944808, arXiv 1901.02839",
    licence="academic, non-commercial, by a signed agreement",
    access="account and agreement on db.sewaproject.eu",
    link="https://db.sewaproject.eu",
    layout="""\
SAH_C6_S181_P362_VC1_000742_001590/      project, culture, session, person, recording, first and last frame
    *.avi  *.wav  metadata.ini
    <name>_Arousal_V_Aligned*.csv        also Valence, Liking; A, V, AV: rated from sound, picture, both
AVEC 2017 to 2019: labels/Train_DE_01.csv, Devel_HU_14.csv ...     name;timestamp;arousal;valence;liking""",
    look=look,
    targets=("arousal", "valence", "liking (where all have it)"),
    subjects="398 people; the P token is the person, the S token a session of two (column group)",
    splits="none public (by subject is the honest division); the form of AVEC has one",
    choices=(
        Choice("form", ("segments", "avec"), "folders of segments, or the form of the AVEC challenges"),
        Choice("annotated_from", ("V", "A", "AV"), "what annotators had: picture, sound, both"),
        *courses.CHOICES,
    ),
    counts={"segments": Counts(total=538, remembered=True)},
    used_by=(
        "SS-VAERR: segments with a private division that takes the session for the person; "
        "`mien corpora continuous sewa` reads its folders",
    ),
    quirks=("videos have 20 to 30 frames per second; labels of the AVEC test parts were never released",),
)
