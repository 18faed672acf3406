"""CREMA-D: actors speak twelve sentences in six emotions."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts, Label
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_headed

_CODES = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_NAME = re.compile(r"(10\d\d)_[A-Z]{3}_([A-Z]{3})_(XX?|LO|MD|HI)")
_LAST_ACTOR = {"1": 1018, "2": 1036, "3": 1054, "4": 1072, "5": 1091}
_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
_VOTES = {"A": "angry", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}


def look(survey: Survey) -> pd.DataFrame:
    """Clips named in SentenceFilenames.csv; the file name holds actor, sentence, emotion and level."""
    folder = survey.folder("VideoFlash", what="the clips as .flv")
    found = survey.clips(folder, (".flv", ".mp4", ".avi"), _key)
    survey.refuse_pointers(found.values())
    names = survey.maybe("SentenceFilenames.csv", files=True)
    if names is None:
        survey.say("warning", "SentenceFilenames.csv is missing: completeness was not checked clip by clip")
        listed = sorted(found)
    else:
        listed = sorted(map(_full, read_headed(names, ("Filename",))["Filename"]))
    parsed = [match for name in listed if (match := _NAME.fullmatch(name))]
    rows = pd.DataFrame([(m[0], m[1], m[2], _LEVELS[m[3]]) for m in parsed], columns=["id", "subject", "code", "level"])
    rows["label"] = survey.label_of(rows.pop("code"), folder)
    rows["fold"] = [_fold(int(actor)) for actor in rows["subject"]]
    rows = _with_people(survey, rows)
    left_out: set[str] = set()
    if survey.choices["label"] == "perceived":
        rows = _perceived(survey, rows)
        left_out = set(listed) - set(rows["id"])
        survey.variant = ""
    if survey.choices["damaged"] == "drop":
        rows = rows[~rows["id"].isin(CORPUS.known)].reset_index(drop=True)
        left_out |= set(CORPUS.known)
        survey.variant = survey.variant and "intended, without known damage"
    found = {name: path for name, path in found.items() if name not in left_out}
    return survey.match(rows, found, folder, archive="VideoFlash (git lfs pull)")


def _full(name: str) -> str:
    """Copies go round with a single X at the end of a name."""
    return f"{name}X" if name.endswith("_X") else name


def _key(path: PurePosixPath) -> str:
    return _full(path.stem) if _NAME.fullmatch(path.stem) else ""


def _fold(actor: int) -> str:
    return next((fold for fold, last in _LAST_ACTOR.items() if actor <= last), "5")


def _with_people(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    file = survey.maybe("VideoDemographics.csv", files=True)
    if file is None:
        return rows
    people = read_headed(file, ("ActorID", "Age", "Sex"))
    by_actor = people.set_index("ActorID")
    return rows.assign(sex=rows["subject"].map(by_actor["Sex"].str.lower()), age=rows["subject"].map(by_actor["Age"]))


def _perceived(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    """What most raters of picture and sound together saw; ties are left out."""
    file = survey.file("summaryTable.csv", what="votes, in processedResults")
    table = read_headed(file, ("FileName", "MultiModalVote")).set_index("FileName")
    vote = rows["id"].map(table["MultiModalVote"]).map(_VOTES)
    if vote.isna().any():
        survey.say(
            "note", f"{int(vote.isna().sum())} clip(s) without a single winner are left out", rows["id"][vote.isna()]
        )
    return rows.assign(label=vote)[vote.notna()].reset_index(drop=True)


CORPUS = Corpus(
    name="crema-d",
    title="Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D), IEEE TAFFC 2014",
    paper="doi 10.1109/TAFFC.2014.2336244",
    licence="Open Database License 1.0, contents Database Contents License 1.0",
    access="open: github.com/CheyneyComputerScience/CREMA-D with git-lfs; a form is requested",
    link="https://github.com/CheyneyComputerScience/CREMA-D",
    layout="""\
VideoFlash/1001_DFA_ANG_XX.flv        actor _ sentence _ emotion _ level; 7,442 clips
AudioWAV/1001_DFA_ANG_XX.wav          AudioMP3/1001_DFA_ANG_XX.mp3
SentenceFilenames.csv                 "Stimulus_Number","Filename"
VideoDemographics.csv                 "ActorID","Age","Sex","Race","Ethnicity"
processedResults/summaryTable.csv     votes from voice, face and both; processedResults/tabulatedVotes.csv""",
    look=look,
    labels=tuple(Label(at, name, code, name) for at, (code, name) in enumerate(_CODES.items())),
    subjects="91 actors",
    splits="none official; the column fold holds the 5 folds by actor of SVFAP, MAE-DFER and HiCMAE",
    choices=(
        Choice("label", ("intended", "perceived"), "what was acted, or what most raters saw and heard"),
        Choice("damaged", ("keep", "drop"), "clips of known damage: as SVFAP and MAE-DFER, or without them as HiCMAE"),
    ),
    counts={
        "intended": Counts(
            total=7442,
            parts=dict(zip(_LAST_ACTOR, (1463, 1470, 1476, 1476, 1557), strict=True)),
            classes={name: 1087 if name == "neutral" else 1271 for name in _CODES.values()},
            part_classes={"1": {name: 213 if name == "neutral" else 250 for name in _CODES.values()}},
            subjects=91,
        ),
        "intended, without known damage": Counts(
            total=7437,
            parts=dict(zip(_LAST_ACTOR, (1463, 1470, 1475, 1474, 1555), strict=True)),
            classes={"angry": 1271, "disgust": 1270, "fear": 1271, "happy": 1271, "neutral": 1086, "sad": 1268},
            subjects=91,
        ),
    },
    known={
        "1076_MTI_NEU_XX": "very short, no sound",
        "1076_MTI_SAD_XX": "a picture of an error, no sound",
        "1064_TIE_SAD_XX": "no duration",
        "1064_IEO_DIS_MD": "a minute long, with all emotions",
        "1040_ITH_SAD_XX": "wrongly named in some copies",
    },
    used_by=(
        "SVFAP, MAE-DFER: intended labels, 5 folds by actor",
        "HiCMAE: the same without the clips of known damage (1463/1470/1475/1474/1555)",
        "SS-VAERR: intended labels at 96 px in an older branch",
    ),
    quirks=(
        "intended and perceived emotion differ often",
        "a plain zip download holds git-lfs pointers of about 130 bytes instead of clips",
        "levels LO, MD and HI come only with the sentence IEO",
    ),
)
