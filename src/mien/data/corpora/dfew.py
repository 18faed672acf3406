"""DFEW: clips of films, seven classes, five official folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts, Label
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_headed
from mien.data.corpora.votes import with_votes
from mien.errors import UsageError

FOLDS = ("1", "2", "3", "4", "5")
_NAMES = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
_FACES = {"faces": ("clip_224x224",), "faces16": ("clip_224x224_16f", "clip_224x16f")}


def look(survey: Survey) -> pd.DataFrame:
    """Clips of the five test lists, which divide all single-label clips; the training lists must be their rest."""
    tests = [_read(survey, "test", fold).assign(fold=fold) for fold in FOLDS]
    listed = pd.concat(tests, ignore_index=True)
    for fold in FOLDS:
        _compare(survey, listed, fold)
    if (annotation := survey.maybe("annotation.xlsx", files=True)) is not None:
        listed = with_votes(survey, annotation, listed, {name: at for at, name in enumerate(_NAMES, start=1)})
    pictures = survey.choices["pictures"]
    if pictures == "recordings":
        folder = survey.folder("original", what="Clip/original with the clips")
        found = survey.clips(folder, (".mp4",), lambda path: _id(path.stem))
        return survey.match(listed, found, folder, unlisted=None, archive="data_part_*.zip")
    survey.cropped = True
    folder = survey.folder(*_FACES[pictures], what="Clip/clip_224x224 with a folder of frames per clip")
    found = survey.frame_folders(folder, 1, lambda path: _id(path.name))
    return survey.match(listed, found, folder, unlisted=None, archive=f"{_FACES[pictures][0]}*.zip")


def _read(survey: Survey, part: str, fold: str) -> pd.DataFrame:
    folder = survey.folder(f"{part}(single_labeled)", "label", what="the lists of EmoLabel_DataSplit")
    names = (f"set_{fold}.csv", f"{part}_set_{fold}.csv", f"single_{part}set_{fold}.csv")
    file = survey.file(*names, inside=folder, what=f"{part} list of fold {fold}")
    table = read_headed(file, ("video_name", "label"))
    ids = [_id(name) for name in table["video_name"]]
    if "" in ids:
        raise UsageError(f"{file}: {table['video_name'][ids.index('')]!r} is no number of a clip")
    return pd.DataFrame({"id": ids, "label": survey.label_of(table["label"], file)})


def _compare(survey: Survey, listed: pd.DataFrame, fold: str) -> None:
    train = set(_read(survey, "train", fold)["id"])
    rest = set(listed["id"][listed["fold"] != fold])
    if odd := sorted(train ^ rest):
        survey.say("warning", f"{len(odd)} clip(s) of fold {fold} are in both or neither of its lists", odd)


def _id(name: str) -> str:
    """Clip numbers come with and without leading zeros, and with or without a suffix."""
    stem = Path(name).stem
    return f"{int(stem):05d}" if stem.isdigit() else ""


CORPUS = Corpus(
    name="dfew",
    title="Dynamic Facial Expression in-the-Wild (DFEW), ACM MM 2020",
    paper="doi 10.1145/3394171.3413620, arXiv 2008.05924",
    licence="non-commercial research and education; the authors do not own the clips",
    access="agreement form on dfew-dataset.github.io; the password of the archives comes with the approval",
    link="https://dfew-dataset.github.io",
    layout="""\
Clip/original/XXXXX.mp4                          data_part_*.zip: 16,372 clips with sound
Clip/clip_224x224/XXXXX/XXXXX_FFFFF.jpg          clip_224x224_part_*.zip: 15,906 clips, aligned faces
Clip/clip_224x224_16f/XXXXX/F.jpg                clip_224x224_16f.zip: the same interpolated to 16 frames
EmoLabel_DataSplit/train(single_labeled)/set_1.csv ... set_5.csv     video_name,label (1..7)
EmoLabel_DataSplit/test(single_labeled)/set_1.csv ... set_5.csv
Annotation/annotation.xlsx                       annotation.zip: seven columns of votes, order, label (0: no single
                                                 label); gives the columns agreement and vote_<class>""",
    look=look,
    labels=tuple(Label(at, name, str(at + 1), name) for at, name in enumerate(_NAMES)),
    subjects="unknown (films)",
    splits="official, 5 folds, not known to be disjoint by person or film; no validation part",
    published=True,
    choices=(
        Choice("pictures", ("faces", "faces16", "recordings"), "official faces, these in 16 frames, or whole clips"),
    ),
    counts={
        "single label": Counts(
            total=11697,
            parts=dict(zip(FOLDS, (2341, 2341, 2340, 2339, 2336), strict=True)),
            classes=dict(zip(_NAMES, (2445, 1894, 2669, 2173, 1469, 145, 902), strict=True)),
            part_classes={"1": dict(zip(_NAMES, (489, 379, 534, 435, 294, 29, 181), strict=True))},
        )
    },
    used_by=(
        "SVFAP, MAE-DFER: clip_224x224 (called jpg_256 there), label - 1, 16 frames at stride 4, 5 folds; "
        "the test fold doubles as validation",
    ),
    quirks=(
        "12,059 clips have a single label; 362 of them show no usable face and are in no list",
        "frames of clip_224x224_16f are not padded (1.jpg ... 16.jpg): mien sorts them as numbers",
        "3 of the 2,341 test clips of fold 1 have fewer than 16 frames",
    ),
)
