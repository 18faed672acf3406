"""The procedural corpus as files: videos, labels over time, and the manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.manifest import Manifest
from mien.data.pool import map_processes
from mien.data.seeding import generator
from mien.data.synthetic.expression import Performance, draw_event, draw_rest, perform
from mien.data.synthetic.figure import Figure
from mien.data.synthetic.film import Actor, Scene
from mien.data.synthetic.identity import draw_identity
from mien.data.synthetic.settings import SyntheticSettings
from mien.errors import MienError, UsageError
from mien.files import complete, write_json
from mien.lock import alone, entries

VERSION = 2  # of the pictures; corpora of different versions are not mixed
SETTINGS_FILE = "synthetic.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Clip:
    """One video of the corpus: its name, subject, class, and mean valence and arousal."""

    name: str
    subject: int
    label: str
    valence: float
    arousal: float


def synthesise(
    out: Path | str,
    settings: SyntheticSettings | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Make the corpus in folder ``out`` and return its manifest (``out/manifest.csv``).

    Videos lie in ``clips/``, their valence and arousal over time in ``labels/``. The manifest has the columns
    ``path, subject, split, fold, labels, label, valence, arousal``; the last two are means over the video.
    Work that was interrupted goes on where it stopped, and a finished corpus is returned as it is.

    Args:
        out: folder, made if need be.
        settings: size and difficulty.
        workers: processes; None takes all processors.
        progress: called with the number of finished clips and of all clips.

    Raises:
        UsageError: ``out`` holds something else, or a corpus of other settings, or another process makes it.
        MienError: ``out`` cannot be written, or a process died twice over the same subject.
    """
    settings = settings or SyntheticSettings()
    folder = Path(out)
    table = folder / "manifest.csv"
    wanted = {"version": VERSION, **settings.model_dump(mode="json")}
    _refuse_others(folder, wanted)
    if not table.exists():
        with alone(folder):
            _claim(folder, wanted)
            clips = list(_made(folder, settings, workers or os.cpu_count() or 1, progress))
            _manifest(folder, settings, sorted(clips, key=lambda clip: clip.name)).write(table)
    return Manifest.read(table)


def _refuse_others(folder: Path, wanted: Mapping[str, object]) -> None:
    """See that a folder is new, or belongs to the same corpus."""
    mark = folder / SETTINGS_FILE
    if mark.exists():
        found = json.loads(mark.read_text(encoding="utf-8"))
        if found != wanted:
            changed = ", ".join(sorted(key for key in wanted if found.get(key) != wanted[key]))
            raise UsageError(f"{folder} holds a synthetic corpus with another {changed}; give another folder")
        return
    if folder.exists() and (not folder.is_dir() or entries(folder)):
        raise UsageError(f"{folder} is not an empty folder; give a new one for the corpus")


def _claim(folder: Path, wanted: Mapping[str, object]) -> None:
    """Say what the folder is for, then make those in it: whatever a killed process left can be gone on with."""
    try:
        write_json(folder / SETTINGS_FILE, dict(wanted))
        for part in ("clips", "labels"):
            (folder / part).mkdir(exist_ok=True)
    except OSError as error:
        raise MienError(f"{folder} cannot be written: {error.strerror}") from None


def _made(folder: Path, settings: SyntheticSettings, workers: int, progress: Progress | None) -> Iterator[Clip]:
    """Make all subjects, in as many processes as asked for."""
    done = 0
    for clips in _by_subject(folder, settings, workers):
        done += len(clips)
        if progress is not None:
            progress(done, settings.clips)
        yield from clips


def _by_subject(folder: Path, settings: SyntheticSettings, workers: int) -> Iterator[list[Clip]]:
    def crashed(subject: int) -> list[Clip]:
        raise MienError(
            f"{folder}: the process that filmed subject {subject} died twice (out of memory?); start again with the "
            "same folder and fewer --jobs"
        )

    make = partial(make_subject, folder, settings)
    for _, clips in map_processes(make, range(settings.subjects), workers, crashed):
        yield clips


def make_subject(folder: Path, settings: SyntheticSettings, subject: int) -> list[Clip]:
    """Make the videos and labels of one subject; those that are there already are not made again."""
    clips = []
    figure: Figure | None = None
    for number in settings.clips_of(subject):
        name = f"s{subject:04d}-{number:03d}"
        performance = draw_performance(settings, subject, number)
        video, labels = folder / "clips" / f"{name}.mp4", folder / "labels" / f"{name}.csv"
        if not video.exists():
            figure = figure or Figure(draw_identity(generator(settings.seed, "identity", subject)))
            scene = draw_scene(settings, subject, number, figure, performance)
            with complete(labels) as part:
                part.write_text(_annotation(performance), encoding="utf-8")
            scene.write(video, settings.fps, settings.sound_rate, generator(settings.seed, "voice", subject, number))
        valence, arousal = performance.affect.mean(axis=0)
        clips.append(Clip(name, subject, settings.label_of(subject, number), float(valence), float(arousal)))
    return clips


def draw_performance(settings: SyntheticSettings, subject: int, number: int) -> Performance:
    """What a subject does in a clip: the class of the clip is an event over a face that resembles something else."""
    rest = draw_rest(generator(settings.seed, "rest", subject), settings.rest)
    rng = generator(settings.seed, "clip", subject, number)
    rest = rest + draw_rest(rng, settings.mimic)
    label = settings.label_of(subject, number)
    events = [] if label == "neutral" else [draw_event(rng, label, settings.seconds, settings.intensity)]
    return perform(rng, events, rest, np.arange(settings.frames) / settings.fps, settings.motion)


def draw_scene(
    settings: SyntheticSettings, subject: int, number: int, figure: Figure, performance: Performance
) -> Scene:
    """The surroundings of a clip."""
    rng = generator(settings.seed, "scene", subject, number)
    size = settings.size
    actor = Actor(figure, performance, 0.5 * size, 0.46 * size, rng.uniform(*settings.face) * size)
    return Scene.draw(rng, (actor,), settings.frames, (size, size))


def _annotation(performance: Performance) -> str:
    rows = (f"{time:.4f},{v:.4f},{a:.4f}" for time, (v, a) in zip(performance.times, performance.affect, strict=True))
    return "\n".join(("time,valence,arousal", *rows)) + "\n"


def _manifest(folder: Path, settings: SyntheticSettings, clips: list[Clip]) -> Manifest:
    ranks = generator(settings.seed, "split").permutation(settings.subjects)
    rows = [
        {
            "path": f"clips/{clip.name}.mp4",
            "subject": f"s{clip.subject:04d}",
            "split": _split(settings, int(ranks[clip.subject])),
            "fold": int(ranks[clip.subject]) % settings.folds,
            "labels": f"labels/{clip.name}.csv",
            "label": clip.label,
            "valence": round(clip.valence, 4),
            "arousal": round(clip.arousal, 4),
        }
        for clip in clips
    ]
    return Manifest(pd.DataFrame(rows), folder)


def _split(settings: SyntheticSettings, rank: int) -> str:
    place = (rank + 0.5) / settings.subjects
    if place < settings.test:
        return "test"
    return "validation" if place < settings.test + settings.validation else "train"
