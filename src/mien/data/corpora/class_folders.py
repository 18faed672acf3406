"""Any corpus with a folder per class, with or without a folder per part above."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pandas as pd

from mien.data.corpora.contract import NAME, Choice, Corpus
from mien.data.corpora.survey import Survey
from mien.errors import UsageError

_PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
          "dev": "validation", "test": "test"}  # fmt: skip


def look(survey: Survey) -> pd.DataFrame:
    """Videos, or folders of frames, in ``<class>/`` or ``<part>/<class>/``; the folder's name is the label."""
    children = [path for path in survey.root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    parts = [path for path in children if path.name.lower() in _PARTS]
    if parts and len(parts) < len(children):
        odd = next(path.name for path in children if path not in parts)
        raise UsageError(f"{survey.root}: {odd} lies beside {parts[0].name}; give folders of parts, or of classes")
    tables = [_clips(survey, part).assign(split=_PARTS[part.name.lower()]) for part in sorted(parts)]
    rows = pd.concat(tables, ignore_index=True) if tables else _clips(survey, survey.root)
    survey.cropped = survey.choices["faces"] == "yes"
    if rows["label"].nunique() == 1:
        only = rows["label"].iloc[0]
        survey.say(
            "warning", f"{only!r} is the only class", remedy="give the folder that holds a folder for each class"
        )
    return with_subjects(survey, rows)


def _clips(survey: Survey, folder: Path) -> pd.DataFrame:
    found = survey.clips(folder, key=lambda path: path.with_suffix("").as_posix() if len(path.parts) > 1 else "")
    found = found or survey.frame_folders(folder, 2, lambda path: path.as_posix())
    if not found:
        raise UsageError(f"{folder}: no video in a folder of a class, nor a folder of pictures in one")
    names = [unicodedata.normalize("NFC", name) for name in found]  # Macs write umlauts in two characters
    label = [name.split("/")[0] for name in names]
    prefix = "" if folder == survey.root else f"{folder.name}/"
    return pd.DataFrame({"id": [prefix + name for name in names], "path": list(found.values()), "label": label})


def with_subjects(survey: Survey, rows: pd.DataFrame) -> pd.DataFrame:
    """Adds ``subject``: what the first group of the chosen regular expression finds in the id."""
    text = survey.choices["subject"]
    if not text:
        survey.say("warning", "subjects are unknown; choose subject=<regular expression with one group> over the ids")
        return rows
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(f"subject={text!r} is no regular expression ({error})") from None
    if pattern.groups != 1:
        raise UsageError(f"subject={text!r} has {pattern.groups} groups; put brackets around what names the person")
    subjects = rows["id"].str.extract(pattern, expand=False)
    if subjects.isna().any():
        odd = rows["id"][subjects.isna()]
        raise UsageError(
            f"subject={text} finds nobody in {len(odd):,} of {len(rows):,} names, such as "
            f"{', '.join(map(repr, odd[:3]))}; allow for them as well, e.g. (s\\d+|guest), or move the files away"
        )
    return rows.assign(subject=subjects)


CHOICES = (
    Choice("subject", (), "regular expression over the id; its one group names the person, e.g. (s\\d+)_"),
    Choice("faces", ("no", "yes"), "the pictures are faces already"),
    Choice(NAME, (), "what the corpus is called in results and ledgers; the folder's name where nothing is given"),
)

CORPUS = Corpus(
    name="class-folders",
    title="Any corpus with a folder per class",
    paper="",
    licence="yours",
    access="yours",
    layout="""\
<class>/*.mp4                   or <part>/<class>/*.mp4, with parts train, validation, test
<class>/<clip>/*.jpg            likewise for folders of frames""",
    look=look,
    subjects="from the names, if asked for",
    splits="from the folders of parts, where there are some",
    choices=CHOICES,
)
