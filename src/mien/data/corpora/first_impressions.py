"""ChaLearn First Impressions V2: fifteen seconds of a speaker, and how others judge their traits."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.data.corpora.contract import Corpus, Counts
from mien.data.corpora.survey import Survey
from mien.errors import UsageError

TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
_FILES = {"train": "annotation_training.pkl", "validation": "annotation_validation.pkl", "test": "annotation_test.pkl"}
_NAME = re.compile(r"(.{11})\.(\d{3})")


def look(survey: Survey) -> pd.DataFrame:
    """Clips of the three annotation files; the test files come separately and may be absent."""
    tables = []
    for split, name in _FILES.items():
        file = survey.maybe(name, files=True) if split == "test" else survey.file(name, what=f"annotation of {split}")
        if file is None:
            survey.say("warning", f"{name} is missing: there is no test part")
            continue
        tables.append(_read(file).assign(split=split))
    rows = pd.concat(tables, ignore_index=True)
    match = rows["id"].str.extract(_NAME.pattern)
    rows["subject"] = match[0].fillna(rows["id"])
    videos = survey.clips(survey.root, (".mp4",))
    return survey.match(rows, videos, survey.root, archive="train-*, val-* and test-*.zip and the zips inside them")


def _read(file: Path) -> pd.DataFrame:
    content = read_annotation(file)
    wanted = [*TRAITS, "interview"]
    missing = [name for name in wanted if not isinstance(content.get(name), dict)]
    if missing:
        raise UsageError(f"{file}: no {missing[0]} in it; is this the official annotation?")
    table = pd.DataFrame({name: pd.Series(content[name], dtype="float64") for name in wanted})
    table.insert(0, "id", [str(name).removesuffix(".mp4") for name in table.index])
    return table.reset_index(drop=True)


class _Inert(pickle.Unpickler):
    """Reads tables, texts and numbers (also NumPy's), and nothing that a file could execute."""

    def find_class(self, module: str, name: str) -> Any:
        if module in {"numpy", "numpy.core.multiarray", "numpy._core.multiarray"} and name in {"dtype", "scalar"}:
            return np.dtype if name == "dtype" else np._core.multiarray.scalar  # type: ignore[attr-defined]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_annotation(file: Path) -> dict[str, Any]:
    """An annotation file: trait → file name → value. Pickles of Python 2 that hold anything else are refused."""
    try:
        with file.open("rb") as content:
            table = _Inert(content, encoding="latin1").load()
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, AttributeError,
            TypeError, MemoryError) as error:  # fmt: skip
        raise UsageError(f"{file}: not a plain table of annotations ({error}); take the official file") from None
    if not isinstance(table, dict):
        raise UsageError(f"{file}: holds no table of annotations; take the official file")
    return table


CORPUS = Corpus(
    name="first-impressions",
    title="ChaLearn LAP First Impressions V2, CVPR 2017",
    paper="doi 10.1109/TAFFC.2020.2973984",
    licence="research use",
    access="registration on the ChaLearn LAP site (chalearnlap.cvc.uab.cat, dataset 24), with a password for the test",
    link="https://chalearnlap.cvc.uab.cat/dataset/24/description",
    layout="""\
train-1/training80_01/_uNup91ZYw0.002.mp4       train-1..6.zip, in each inner zips training80_*.zip
val-1/validation80_01/*.mp4                     test-1/test80_01/*.mp4
train-annotation/annotation_training.pkl        trait -> file -> 0..1
val-annotation/annotation_validation.pkl        test-annotation/annotation_test.pkl""",
    look=look,
    targets=(*TRAITS, "interview"),
    subjects="the YouTube video stands for the person; 2,764 users in all",
    splits="official: training, validation, test; not disjoint by person",
    published=True,
    counts={
        "clips": Counts(total=10000, by="split", parts={"train": 6000, "validation": 2000, "test": 2000}),
    },
    used_by=("SVFAP: five traits in the order above, CCC and 1 - mean absolute error, official parts",),
    quirks=(
        "neuroticism is turned: higher means more stable, as far as known",
        "names may begin with a hyphen; the archives hold archives: unpack twice",
    ),
)
