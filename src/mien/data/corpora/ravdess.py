"""RAVDESS: 24 actors speak and sing two sentences in eight emotions; the file name is the label."""

from __future__ import annotations

import re
from itertools import product
from pathlib import PurePosixPath

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts, Label
from mien.data.corpora.survey import Survey

_NAMES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_COMMON = {"fearful": "fear", "surprised": "surprise"}
_NAME = re.compile(r"0[123]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4])")
_CHANNELS = {"speech": ("01",), "song": ("02",), "both": ("01", "02")}


def look(survey: Survey) -> pd.DataFrame:
    """All clips that the design of the corpus asks for. A take exists with sound (01), silent (02) and as sound (03):
    only one picture of it becomes a row, and ``group`` names the take."""
    modality = {"video": "01", "silent": "02"}[survey.choices["pictures"]]
    found = survey.clips(survey.root, (".mp4",), lambda path: path.stem if path.stem[:2] == modality else "")
    found = {name: path for name, path in found.items() if _NAME.fullmatch(name)}
    survey.variant = survey.choices["channel"]
    rows = pd.DataFrame([_row(modality, *take) for take in takes(survey.choices["channel"])])
    rows = survey.match(rows, found, survey.root, archive=_archives(survey.choices["channel"]), of="designed")
    return _with_sound(survey, rows) if survey.choices["sound"] == "wav" else rows


def takes(channel: str = "speech") -> list[tuple[str, ...]]:
    """Channel, emotion, intensity, statement, repetition and actor of every take that was recorded.

    Neutral is never strong; songs have no disgust and no surprise, and actor 18 sang none.
    """
    result: list[tuple[str, ...]] = []
    two = ("01", "02")
    actors = [f"{number:02d}" for number in range(1, 25)]
    emotions = [f"{number:02d}" for number in range(1, 9)]
    for code, emotion, intensity, statement, repetition, actor in product(
        _CHANNELS[channel], emotions, two, two, two, actors
    ):
        sung = code == "02"
        if (emotion == "01" and intensity == "02") or (sung and (emotion in {"07", "08"} or actor == "18")):
            continue
        result.append((code, emotion, intensity, statement, repetition, actor))
    return result


def _row(modality: str, channel: str, emotion: str, intensity: str, statement: str, repetition: str, actor: str
         ) -> dict[str, str]:  # fmt: skip
    take = "-".join((channel, emotion, intensity, statement, repetition, actor))
    return {
        "id": f"{modality}-{take}",
        "label": _NAMES[int(emotion) - 1],
        "subject": actor,
        "fold": str((int(actor) + 3) // 4),
        "group": take,
        "channel": "song" if channel == "02" else "speech",
        "intensity": "strong" if intensity == "02" else "normal",
        "sex": "male" if int(actor) % 2 else "female",
    }


def _archives(channel: str) -> str:
    return {"speech": "Video_Speech_Actor_*.zip", "song": "Video_Song_Actor_*.zip"}.get(channel, "Video_*_Actor_*.zip")


def _with_sound(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    """The wav file of the same take in the column ``audio``."""
    sounds = survey.clips(survey.root, (".wav",), lambda path: path.stem[3:] if _is_sound(path) else "")
    audio = rows["group"].map(sounds)
    if audio.isna().any():
        lost = rows["group"][audio.isna()]
        survey.say("error", f"{len(lost):,} take(s) have no wav file", lost, "unpack Audio_*_Actors_01-24.zip")
    return rows.assign(audio=audio)[audio.notna()].reset_index(drop=True)


def _is_sound(path: PurePosixPath) -> bool:
    return path.stem.startswith("03-") and _NAME.fullmatch(path.stem) is not None


CORPUS = Corpus(
    name="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), PLoS ONE 2018",
    paper="doi 10.1371/journal.pone.0196391",
    licence="CC BY-NC-SA 4.0; a commercial licence is sold",
    access="open: Zenodo record 1188976",
    link="https://zenodo.org/records/1188976",
    layout="""\
Actor_01/01-01-01-01-01-01-01.mp4     Video_Speech_Actor_01.zip ...: picture and sound
Actor_01/02-01-01-01-01-01-01.mp4     the same take without sound
Actor_01/03-01-01-01-01-01-01.wav     Audio_Speech_Actors_01-24.zip: the same take, sound alone
name: modality - channel (01 speech, 02 song) - emotion - intensity - statement - repetition - actor""",
    look=look,
    labels=tuple(Label(at, name, f"{at + 1:02d}", _COMMON.get(name, name)) for at, name in enumerate(_NAMES)),
    subjects="24 actors, odd numbers male, even female",
    splits="none official; the column fold holds the 6 folds of SVFAP, MAE-DFER and HiCMAE: four actors each, in order",
    choices=(
        Choice("pictures", ("video", "silent"), "files 01 (with sound) or 02 (without); both show the same take"),
        Choice("sound", ("video", "wav"), "the video's own sound, or the wav file (03) of the take"),
        Choice("channel", ("speech", "song", "both"), "spoken, sung, or both"),
    ),
    counts={
        "speech": Counts(
            total=1440,
            parts=dict.fromkeys(("1", "2", "3", "4", "5", "6"), 240),
            classes=dict.fromkeys(_NAMES, 192) | {"neutral": 96},
            part_classes={"1": dict.fromkeys(_NAMES, 32) | {"neutral": 16}},
            subjects=24,
        ),
        "song": Counts(
            total=1012,
            parts=dict.fromkeys(("1", "2", "3", "4", "5", "6"), 176) | {"5": 132},
            classes=dict.fromkeys(_NAMES[:6], 184) | {"neutral": 92},
            subjects=23,
        ),
    },
    used_by=(
        "SVFAP, MAE-DFER, HiCMAE: speech, silent pictures with the wav files, 6 folds, 1,200/240",
        "Audio-visual fusion: speech, 4 actors test, 4 validation, 16 training, by an unsorted listing of folders",
    ),
    quirks=("files 01 and 02 are the same take: both together double the data and leak",),
)
