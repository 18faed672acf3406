"""MAFW: eleven single emotions and 32 compound ones, five official folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts, Label
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_list

FOLDS = ("1", "2", "3", "4", "5")
_COMMON = {"anger": "angry", "happiness": "happy", "sadness": "sad"}
_NAMES = (
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety", "helplessness",
    "disappointment",
)  # fmt: skip
_CLASSES = (1390, 639, 625, 1242, 1138, 1470, 1072, 236, 916, 262, 182)
_TESTS = {
    "single": (1839, 1837, 1833, 1832, 1831),
    "compound": (1818, 1809, 1798, 1788, 1783),
    "single with captions": (1611, 1609, 1605, 1605, 1604),
    "compound with captions": (1590, 1581, 1570, 1561, 1556),
}


def look(survey: Survey) -> pd.DataFrame:
    """Clips of the five test lists, which divide the set; the training lists must be their rest."""
    captions = survey.choices["captions"] == "yes"
    survey.variant = survey.choices["labels"] + (" with captions" if captions else "")
    top = survey.folder("Train & Test Set", "Train_Test_Set", what="lists of the folds")
    folder = survey.folder(survey.choices["labels"], inside=top)
    lists = survey.folder("with_caption" if captions else "no_caption", inside=folder)
    listed = pd.concat([_read(survey, lists, fold, "test").assign(fold=fold) for fold in FOLDS], ignore_index=True)
    for fold in FOLDS:
        train = set(_read(survey, lists, fold, "train")["id"])
        if odd := sorted(train ^ set(listed["id"][listed["fold"] != fold])):
            survey.say("warning", f"{len(odd)} clip(s) of fold {fold} are in both or neither of its lists", odd)
    if survey.choices["pictures"] == "frames":
        frames = survey.folder("frames", what="data/frames with a folder of frames per clip")
        return survey.match(listed, survey.frame_folders(frames, 1), frames, unlisted=None, archive="frames.zip")
    clips = survey.folder("clips", what="data/clips with the clips")
    return survey.match(listed, survey.clips(clips, (".mp4",)), clips, unlisted=None, archive="clips.zip")


def _read(survey: Survey, lists: Path, fold: str, part: str) -> pd.DataFrame:
    captions = survey.choices["captions"] == "yes"
    folder = survey.folder(f"set_{fold}", inside=lists, what=f"fold {fold}")
    file = survey.file(f"{part}.txt", inside=folder, what=f"{part} list of fold {fold}")
    names = ("file", "label", "text_zh", "text_en") if captions else ("file", "label")
    table = read_list(file, names, "\t" if captions else None)
    pieces = table["label"].str.split("_")
    survey.label_of(pieces.explode(), file)
    rows = pd.DataFrame({"id": [Path(name).stem for name in table["file"]]})
    # A compound class is the official names joined, in their official order.
    rows["label"] = pieces.map(lambda names: "_".join(name.lower() for name in names))
    return rows.assign(text=table["text_en"], text_zh=table["text_zh"]) if captions else rows


CORPUS = Corpus(
    name="mafw",
    title="MAFW, ACM MM 2022",
    paper="doi 10.1145/3503161.3548190",
    licence="free for university staff; non-commercial, no redistribution",
    access='signed form "MAFW-academics" by e-mail to the China University of Geosciences',
    link="https://github.com/MAFW-database/MAFW",
    layout="""\
data/clips/00151.mp4                 clips.zip: clips with sound
data/frames/00025/*.png              frames.zip: whole frames with background
Labels/single_set.xlsx  multi_set.xlsx  annotation.xlsx  descriptive_text.xlsx
Train & Test Set/{single,compound}/{no_caption,with_caption}/set_1..set_5/{train,test}.txt
    no_caption: 00025.mp4 anger      with_caption: four fields between tabs, in GBK""",
    look=look,
    labels=tuple(Label(at, name, name, _COMMON.get(name, name)) for at, name in enumerate(_NAMES)),
    subjects="unknown",
    splits="official, 5 folds, not known to be disjoint by person; no validation part",
    published=True,
    choices=(
        Choice("pictures", ("recordings", "frames"), "clips with sound, or whole frames; faces are cut from either"),
        Choice("labels", ("single", "compound"), "11 classes, or these and 32 compound ones"),
        Choice("captions", ("no", "yes"), "the lists with descriptions, which hold fewer clips"),
    ),
    counts={
        name: Counts(
            total=sum(tests),
            parts=dict(zip(FOLDS, tests, strict=True)),
            classes=dict(zip(_NAMES, _CLASSES, strict=True)) if name == "single" else {},
            part_classes={"1": dict(zip(_NAMES, (278, 128, 125, 249, 228, 294, 215, 48, 184, 53, 37), strict=True))}
            if name == "single"
            else {},
        )
        for name, tests in _TESTS.items()
    },
    used_by=("SVFAP, MAE-DFER, HiCMAE: single labels, frames, 16 at stride 4; the test fold doubles as validation",),
    quirks=(
        "other lists number the classes differently (at least four orders go round), so names are read",
        "21 of the 10,045 clips have no sound; some clips have fewer than 16 frames",
        "the official frames show the whole picture: faces must be cut",
    ),
)
