"""LRS3-TED: talks with their words; for pretraining."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_lines

_SETS = {"pretrain": "train", "trainval": "train", "test": "test"}


def look(survey: Survey) -> pd.DataFrame:
    """Clips by their text files, which say what there should be."""
    wanted = tuple(_SETS) if survey.choices["part"] == "all" else (survey.choices["part"],)
    clips: dict[str, str] = {}
    texts: dict[str, str] = {}
    for name in wanted:
        folder = survey.folder(name, what=f"{name}/<talk>/<number>.mp4 and .txt; or choose another part")
        key = partial(_key, name)
        clips |= survey.clips(folder, (".mp4",), key)
        texts |= survey.clips(folder, (".txt",), key)
    if silent := sorted(set(clips) - set(texts)):
        survey.say("error", f"{len(silent):,} clip(s) have no text file", silent, "unpack lrs3_v0.4_txt.zip")
    listed = pd.DataFrame({"id": sorted(set(texts) | set(clips))})
    places = listed["id"].str.split("/")
    listed = listed.assign(set=places.str[0], split=places.str[0].map(_SETS), group=places.str[1])
    survey.variant = survey.choices["part"]
    survey.cropped = True
    rows = survey.match(listed, clips, survey.root, archive="lrs3_pretrain, lrs3_trainval, lrs3_test_v0.4")
    if survey.choices["text"] == "yes":
        rows["text"] = [_text(Path(texts[id_])) if id_ in texts else None for id_ in rows["id"]]
    return rows


def _key(name: str, path: PurePosixPath) -> str:
    return f"{name}/{path.parts[-2]}/{path.stem}" if len(path.parts) >= 2 and path.stem.isdigit() else ""


def _text(file: Path) -> str:
    """The words of the first line, after ``Text:``."""
    return re.sub(r"^Text:\s*", "", read_lines(file)[0])


CORPUS = Corpus(
    name="lrs3",
    title="LRS3-TED, 2018",
    paper="arXiv 1809.00496",
    licence="TED's licence, non-commercial",
    access="form on the lip-reading site of Oxford's Visual Geometry Group; reported as no longer offered",
    link="https://www.robots.ox.ac.uk/~vgg/data/lip_reading",
    layout="""\
pretrain/<talk>/00001.mp4 + 00001.txt     lrs3_pretrain.zip
trainval/<talk>/50001.mp4 + 50001.txt     lrs3_trainval.zip
test/<talk>/00001.mp4 + 00001.txt         lrs3_test_v0.4.zip
text files begin with "Text:  WORDS" and "Conf:  n\"""",
    look=look,
    subjects="unknown; the folder is the talk (column group)",
    splits="official: pretrain and trainval (both called train here) and test, disjoint by talk since version 0.4",
    published=True,
    choices=(
        Choice("part", ("all", *_SETS), "which part"),
        Choice("text", ("no", "yes"), "read the spoken words into the column text"),
    ),
    counts={
        "all": Counts(total=118516 + 31982 + 1321, by="split", parts={"train": 118516 + 31982, "test": 1321},
                      columns={"set": {"pretrain": 118516, "trainval": 31982, "test": 1321}}, remembered=True),
        "pretrain": Counts(total=118516, remembered=True),
        "trainval": Counts(total=31982, remembered=True),
        "test": Counts(total=1321, remembered=True),
    },
    used_by=("SS-VAERR: pretraining with BYOL, as far as the name of a checkpoint tells",),
    quirks=("clips of pretrain are long; some text files lack the third section",),
)  # fmt: skip
