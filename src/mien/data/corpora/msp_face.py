"""MSP-Face: segments of web videos with classes and attributes; labels are open, the videos are links."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts, Label
from mien.data.corpora.survey import Survey
from mien.data.corpora.texts import read_list
from mien.errors import UsageError

_SPLITS = {"train": "train", "validation": "validation", "test": "test"}
_VALUES = {"EmoAct": "activation", "EmoVal": "valence", "EmoDom": "dominance"}
_CLASSES = {"H": "happy", "A": "angry", "S": "sad", "N": "neutral", "D": "disgust", "F": "fear", "U": "surprise",
            "C": "contempt"}  # fmt: skip
_NAME = re.compile(r"MSP-FACE_\d{4}_\d{4}")
_LINKS = "videos by the links (dead links are normal)"


def look(survey: Survey) -> pd.DataFrame:
    """Labelled segments with the official partition; what lies on disk is a segment, or the video that it is cut of."""
    file = survey.file("label_consensus.json", "labels_concensus.json", what="Labels/label_consensus.json")
    rows = _consensus(file)
    parts = survey.file("Partitions.txt", what="Doc/Partitions.txt, the official parts")
    listed = read_list(parts, ("split", "file"), ";")
    split = pd.Series(listed["split"].str.lower().map(_SPLITS).to_numpy(), [Path(name).stem for name in listed["file"]])
    rows["split"] = rows["id"].map(split[~split.index.duplicated()])
    speakers = survey.maybe("speaker_id_segments.txt", files=True)
    if speakers is not None:
        table = read_list(speakers, ("file", "speaker"), ",")
        rows["subject"] = rows["id"].map(dict(zip(map(_stem, table["file"]), table["speaker"], strict=True)))
    wanted = survey.choices["classes"]
    survey.variant = "attributes" if wanted == "none" else f"{wanted} classes"
    if wanted != "none":
        kept = rows["label"].isin([label.name for label in CORPUS.labels[: int(wanted)]])
        count = int((~kept).sum())
        survey.say("note", f"{count:,} segment(s) have no label among the {wanted} classes and are left out")
        rows = rows[kept].reset_index(drop=True)
    return _with_files(survey, rows.assign(group=rows["id"].str.slice(0, 13)))


def _consensus(file: Path) -> pd.DataFrame:
    """Every value is a list of one table, its numbers are text."""
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
        rows = []
        for name, (entry,) in content.items():
            values = {ours: float(entry[theirs]) for theirs, ours in _VALUES.items()}
            rows.append({"id": _stem(name), "label": _CLASSES.get(entry["EmoClass_Major"]), "subject": entry["SpkrID"],
                         "sex": str(entry["Gender"]).lower(), **values})  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: not the official consensus of labels ({error!r}); take it anew") from None
    return pd.DataFrame(rows)


def _with_files(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    segments = survey.clips(survey.root, (".mp4",), _segment)
    videos = survey.clips(survey.root, (".mp4",), lambda path: "" if _segment(path) else path.stem)
    cuts = survey.maybe("segments_data.txt", files=True)
    if cuts is None or not videos:
        return survey.match(rows, segments, survey.root, unlisted=None, archive=_LINKS)
    table = read_list(cuts, ("start", "end", "file"), "\t")
    table.index = pd.Index(map(_stem, table["file"]))
    whole = {id_: videos[id_[:13]] for id_ in rows["id"] if id_[:13] in videos and id_ in table.index}
    rows = survey.match(rows, whole | segments, survey.root, unlisted=None, archive=_LINKS)
    uncut = ~rows["id"].isin(segments)
    times = {name: pd.to_numeric(rows["id"].map(table[name])).where(uncut) for name in ("start", "end")}
    return rows.assign(**times)


def _segment(path: PurePosixPath) -> str:
    return path.stem if _NAME.fullmatch(path.stem) else ""


def _stem(name: str) -> str:
    return name.removesuffix(".mp4")


CORPUS = Corpus(
    name="msp-face",
    title="MSP-Face, ICMI 2020",
    paper="doi 10.1145/3382507.3418872",
    licence="see the licence file of the repository",
    access="open labels and links: github.com/3loi/MSP_Face; the user fetches and cuts the videos",
    link="https://github.com/3loi/MSP_Face",
    layout="""\
Links/link_videos.txt              MSP-FACE_0001.mp4<TAB>https://...          728 videos
Doc/segments_data.txt              10.977<TAB>20.487<TAB>MSP-FACE_0001_0001.mp4     27,325 segments
Doc/speaker_id_segments.txt        MSP-FACE_0001_0001.mp4,Speaker_264         491 speakers
Doc/Partitions.txt                 Train; MSP-FACE_0322_0002.mp4              9,370 labelled segments
Labels/label_consensus.json        classes and attributes (1 to 7), by segment
MSP-Face/MSP-FACE_0001/Segments/MSP-FACE_0001_0001/MSP-FACE_0001_0001.mp4     after the official script""",
    look=look,
    labels=tuple(Label(at, name, code, name) for at, (code, name) in enumerate(_CLASSES.items())),
    targets=tuple(_VALUES.values()),
    subjects="322 speakers among the labelled segments, 491 in all",
    splits="official: Train, Validation, Test, disjoint by speaker",
    choices=(Choice("classes", ("8", "5", "none"), "segments with one of 8 or of the first 5 classes, or all"),),
    counts={
        "8 classes": Counts(
            total=6387,
            classes=dict(zip(_CLASSES.values(), (1087, 404, 1488, 1130, 610, 537, 662, 469), strict=True)),
        ),
        "5 classes": Counts(
            total=4719, classes=dict(zip(list(_CLASSES.values())[:5], (1087, 404, 1488, 1130, 610), strict=True))
        ),
        "attributes": Counts(
            total=9370, by="split", parts={"train": 6605, "validation": 926, "test": 1839}, subjects=322
        ),
    },
    patchy=True,
    used_by=("SS-VAERR: arousal and valence per frame from a private derivative; the release rates whole segments",),
    quirks=(
        "many links are dead by now: every copy lacks other clips, so state the digest of the protocol",
        "2,936 segments have no majority class, 47 another one",
    ),
)
