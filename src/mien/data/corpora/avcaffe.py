"""AVCAffe: pairs of people do tasks over a call; arousal, valence and load as they rated themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mien.data.corpora.contract import Choice, Corpus, Counts
from mien.data.corpora.survey import Survey, key_by
from mien.data.corpora.texts import read_lines
from mien.errors import UsageError

AROUSAL = ("excited", "wide-awake", "neutral", "dull", "calm")
VALENCE = ("pleasant", "pleased", "neutral", "unsatisfied", "unpleasant")
LOADS = ("mental_demand", "temporal_demand", "effort", "physical_demand", "frustration", "performance")
TEST = ("001", "002", "013", "014", "043", "044", "053", "054", "057", "058",
        "063", "064", "067", "068", "077", "078", "099", "100", "107", "108")  # fmt: skip
_PLACE = re.compile(r"(aiim\d{3})[/_]task_(\d)")
_KEY = key_by(_PLACE, "{1}/task_{2}/{stem}")
_FOLDERS = {"segments": "shorter_segments", "long": "per_participant_per_task", "faces": "shorter_segments_face"}


def look(survey: Survey) -> pd.DataFrame:
    """Clips on disk with the ratings of their person and task, which all clips of a task share."""
    ratings = _ratings(survey)
    pictures = survey.choices["pictures"]
    folder = survey.folder(_FOLDERS[pictures], what="videos or images")
    if pictures == "faces":
        survey.cropped = True
        found = survey.frame_folders(folder, 3, _KEY)
    else:
        found = survey.clips(folder, key=_KEY)
    frame = pd.DataFrame({"id": list(found), "path": list(found.values())})
    frame["group"] = frame["id"].str.extract(r"^(aiim\d{3}/task_\d)", expand=False)
    if lost := sorted(set(ratings.index) - set(frame["group"])):
        survey.say("error", f"{len(lost):,} of {len(ratings):,} rated tasks have no clip", lost, "unpack them")
    rated = frame["group"].isin(ratings.index)
    if not rated.all():
        survey.say("warning", f"{int((~rated).sum()):,} clips have no rating and are left out", frame["id"][~rated])
    frame = frame[rated].join(ratings, on="group").reset_index(drop=True)
    frame["subject"] = frame["group"].str.slice(0, 7)
    frame["split"] = ["test" if name[4:] in TEST else "train" for name in frame["subject"]]
    survey.variant = pictures
    return frame.assign(fps=16.0) if pictures == "faces" else frame


def _ratings(survey: Survey) -> pd.DataFrame:
    """Both affects (words) and those loads (0 to 21) that are there, by person and task."""
    folder = survey.folder("ground_truths", what="the ratings as text files")
    columns = {"arousal": _words(survey, folder, "arousal", AROUSAL),
               "valence": _words(survey, folder, "valence", VALENCE)}  # fmt: skip
    for load in LOADS:
        file = survey.maybe(f"{load}.txt", inside=folder, files=True)
        if file is not None:
            columns[load] = {task: float(value) for task, value in _rows(file)}
    return pd.DataFrame(columns)


def _words(survey: Survey, folder: Path, name: str, known: tuple[str, ...]) -> dict[str, object]:
    file = survey.file(f"{name}.txt", inside=folder, what="the ratings")
    values: dict[str, object] = {task: value.lower() for task, value in _rows(file)}
    odd = [value for value in values.values() if value not in known]
    if odd:
        raise UsageError(f"{file}: {odd[0]!r} is no {name} of avcaffe ({', '.join(known)})")
    return values


def _rows(file: Path) -> list[tuple[str, str]]:
    """Task and value of lines such as ``aiim001_task_1, Excited``; others are headings."""
    rows = []
    for line in read_lines(file):
        name, comma, value = line.partition(",")
        if comma and (match := _PLACE.fullmatch(name.strip())):
            rows.append((f"{match[1]}/task_{match[2]}", value.strip()))
    return rows


CORPUS = Corpus(
    name="avcaffe",
    title="AVCAffe, AAAI 2023",
    paper="doi 10.1609/aaai.v37i1.25078, arXiv 2205.06887",
    licence="non-commercial agreement, granted for 30 days",
    access="Borealis (Queen's University) doi 10.5683/SP3/PSWY62 with an institutional account; "
    "downloader in github.com/pritamqu/AVCAffe",
    link="https://doi.org/10.5683/SP3/PSWY62",
    layout="""\
ground_truths/arousal.txt, valence.txt, mental_demand.txt, ...     aiim001_task_1, Excited
videos/shorter_segments/aiim001/task_1/<clip>.avi                  58,112 clips of about 6 s
videos/per_participant_per_task/aiim001/<clip>.mp4                 950 recordings
images/shorter_segments_face/aiim001/task_1/<clip>/*.jpg           faces at 16 frames per second""",
    look=look,
    targets=(f"arousal ({', '.join(AROUSAL)})", f"valence ({', '.join(VALENCE)})", *LOADS),
    subjects="106 people in pairs, aiim001 to aiim108",
    splits="official, 86 people train and 20 (whole pairs) are the validation part, which papers report: test here",
    choices=(Choice("pictures", ("segments", "long", "faces"), "clips of 6 s, whole tasks, or official faces"),),
    counts={
        "segments": Counts(total=58112, subjects=106),
        "long": Counts(total=950, subjects=106),
        "faces": Counts(subjects=106),
    },
    used_by=("SVFAP: arousal and valence as 5 classes each, scores averaged over a task (column group), weighted F1",),
    quirks=(
        "classes run from the high end (0 excited, pleasant) to the low one",
        "some clips are silent: info/no_audio_files.txt lists them",
    ),
)
