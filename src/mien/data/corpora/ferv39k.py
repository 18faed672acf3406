"""FERV39k: seven classes in 22 scenes, one official split."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts, Label
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_list
from mien.errors import UsageError

_NAMES = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
_SCENES = {
    "Action": 804, "Argue": 2655, "Business": 1776, "Conflict": 2491, "Contest": 2400, "Crime": 1871, "Crisis": 1494,
    "DailyLife": 2339, "ElegantArt": 1242, "Experiment": 556, "History": 2690, "Interview": 2099, "Liveshow": 1131,
    "Medicine": 692, "OfficialEvent": 1423, "ScholarReport": 2014, "School": 2012, "Social": 1121, "Speech": 1834,
    "Talkshow": 1736, "Terror": 2099, "War": 2456,
}  # fmt: skip


def look(survey: Survey) -> pd.DataFrame:
    """Clips of the two lists over all scenes; a clip's number is unique only inside its scene and class."""
    setups = survey.folder("All_scenes", what="4_setups/All_scenes with the lists")
    listed = pd.concat([_read(survey, setups, part) for part in ("train", "test")], ignore_index=True)
    if survey.choices["pictures"] == "recordings":
        folder = survey.folder("0_7_LabelClips", what="whole clips by scene and class")
        return survey.match(listed, survey.clips(folder, (".mp4",), _key), folder, archive="0_7_LabelClips.zip")
    survey.cropped = True
    folder = survey.folder("2_ClipsforFaceCrop", "2_ClipForFaceCrop", what="frames of faces by scene, class and clip")
    return survey.match(listed, survey.frame_folders(folder, 3, _key), folder, archive="2_ClipsforFaceCrop.zip")


def _read(survey: Survey, setups: Path, part: str) -> pd.DataFrame:
    file = survey.file(f"{part}_All.csv", inside=setups, what=f"{part} list of all scenes")
    table = read_list(file, ("clip", "label"))
    keys = [_key(PurePosixPath(clip)) for clip in table["clip"]]
    rows = pd.DataFrame({"id": keys, "split": part, "scene": [key.split("/")[0] for key in keys]})
    rows["label"] = survey.label_of(table["label"], file)
    folders = pd.Series([key.split("/")[1].lower() for key in keys])
    if (odd := folders != rows["label"]).any():
        raise UsageError(f"{file}: {table['clip'][odd].iloc[0]} is listed as {table['label'][odd].iloc[0]}")
    return rows


def _key(path: PurePosixPath) -> str:
    """Scene, class and number, whatever lies around them."""
    parts = path.with_suffix("").parts
    return "/".join(parts[-3:]) if len(parts) >= 3 else ""


CORPUS = Corpus(
    name="ferv39k",
    title="FERV39k, CVPR 2022",
    paper="arXiv 2203.09463",
    licence="non-commercial research",
    access="e-mail from a university account to the authors at Fudan; text in github.com/wangyanckxx/FERV39k",
    link="https://github.com/wangyanckxx/FERV39k",
    layout="""\
2_ClipsforFaceCrop/<Scene>/<Emotion>/<NNNN>/*.jpg    faces, without sound
0_7_LabelClips/<Scene>/<Emotion>/<NNNN>.mp4          whole clips with sound
4_setups/All_scenes/train_All.csv                    no header: Crime/Angry/0063 Angry
4_setups/All_scenes/test_All.csv""",
    look=look,
    labels=tuple(Label(at, name, name.capitalize(), name) for at, name in enumerate(_NAMES)),
    subjects="unknown",
    splits="official, train and test over all 22 scenes; no validation part",
    published=True,
    choices=(Choice("pictures", ("faces", "recordings"), "official faces, or whole clips with sound"),),
    counts={
        "all scenes": Counts(
            total=38935,
            by="split",
            parts={"train": 31088, "test": 7847},
            classes=dict(zip(_NAMES, (7327, 6916, 9748, 7393, 3140, 2300, 2111), strict=True)),
            part_classes={
                "train": dict(zip(_NAMES, (5854, 5523, 7790, 5906, 2502, 1833, 1680), strict=True)),
                "test": dict(zip(_NAMES, (1473, 1393, 1958, 1487, 638, 467, 431), strict=True)),
            },
            columns={"scene": _SCENES},
        )
    },
    used_by=(
        "SVFAP, MAE-DFER, MAE-DFER-CA: all scenes, faces, 16 frames at stride 1; the test part doubles as validation",
    ),
    quirks=(
        "there are no official numbers of classes: other lists count them differently, so names are read",
        "clips have 8 to 47 frames, 28.0 on average; 4,070 have fewer than 16",
    ),
)
