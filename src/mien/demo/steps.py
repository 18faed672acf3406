"""The steps of ``mien demo``. Each is a call of the library that users have; finished steps are not done again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mien.data.manifest import Manifest
from mien.data.prepare import prepare
from mien.data.settings import PrepareSettings
from mien.data.synthetic import SyntheticSettings, film_two_faces, synthesise
from mien.evaluation import evaluate
from mien.evaluation.assess import EvaluationSettings
from mien.evaluation.paired import Paired, against
from mien.evaluation.probes import linear_probe
from mien.evaluation.result import EvaluationResult
from mien.faces.recipe import CropRecipe
from mien.inference import predict
from mien.inference.timeline import Timeline
from mien.training import fit, load_recipe
from mien.training.run import RunResult

# Told what begins, what it is for, and how far it is (0..1, None: unknown).
Tell = Callable[[str, float | None], None]

SIZE = 64  # pixels of a prepared face; the demo's recipes read it at half of that
PRETRAIN, FINETUNE = "demo/pretrain", "demo/finetune"
MIN_FACE = 48  # pixels; the corpus shows larger faces, and the search is quicker without small ones
NEW_VIDEO_SECONDS = 12.0


@dataclass
class Outcome:
    """What the demo came to.

    Attributes:
        folder: everything lies here.
        chance: UAR of guessing.
        probes: UAR of linear probes on pixels.
        pretrained, scratch: evaluations on unseen subjects under the same fine-tuning budget.
        gain: the one against the other, clip by clip.
        runs: the finished runs by name.
        timeline: reading of the new video.
        seconds: time spent by step.
    """

    folder: Path
    chance: float = 0.0
    probes: dict[str, float] = field(default_factory=dict)
    pretrained: EvaluationResult | None = None
    scratch: EvaluationResult | None = None
    gain: Paired | None = None
    runs: dict[str, RunResult] = field(default_factory=dict)
    timeline: Timeline | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def bundle(self) -> Path:
        """The pretrained and fine-tuned model."""
        return self.folder / "runs" / "pretrained" / "bundle"

    @property
    def video(self) -> Path:
        """The new video, of two people whom no model has seen."""
        return self.folder / "new" / "two_faces.mp4"

    @property
    def overlay(self) -> Path:
        """The new video with boxes and readings drawn in."""
        return self.folder / "new" / "two_faces.overlay.mp4"

    @property
    def table(self) -> Path:
        """The readings of the new video, a row per moment and face."""
        return self.folder / "new" / "two_faces.csv"

    @property
    def curves(self) -> Path:
        """The report on the new video, with its curves."""
        return self.folder / "new" / "two_faces.html"


def run_demo(
    folder: Path,
    seed: int = 0,
    tell: Tell | None = None,
    overrides: tuple[str, ...] = (),
    settings: SyntheticSettings | None = None,
    seconds: float = NEW_VIDEO_SECONDS,
) -> Outcome:
    """Go the whole way in ``folder``; a folder that was begun with the same seed is gone on with.

    Args:
        folder: made if need be.
        seed: of the training and the bootstrap, and of the corpus unless ``settings`` are given.
        tell: told what is being done.
        overrides: changes to both training recipes, ``key=value``.
        settings: of the corpus.
        seconds: length of the new video.

    Raises:
        UsageError: an override that the recipes refuse; before anything is made.
    """
    out = Outcome(folder)
    tell = tell or (lambda text, share: None)
    settings = settings or SyntheticSettings(seed=seed)
    for recipe in (PRETRAIN, FINETUNE):
        load_recipe(recipe, overrides)
    with _timed(out, "corpus"):
        corpus = synthesise(folder / "corpus", settings, progress=_share(tell, "drawing people who show expressions"))
    with _timed(out, "faces"):
        crop = CropRecipe(size=SIZE)
        prepare(
            [folder / "corpus" / "manifest.csv"],
            folder / "clips",
            PrepareSettings(crop=crop, min_face=MIN_FACE),
            os.cpu_count() or 1,
            _share(tell, "finding and cutting faces"),
        )
    clips = Manifest.read(folder / "clips" / "manifest.csv")
    out.chance = 1 / corpus.frame["label"].nunique()
    with _timed(out, "probes"):
        tell("what pixels alone give away", None)
        out.probes = {name: linear_probe(clips, name) for name in ("still", "clip")}
    with _timed(out, "pretraining"):
        _train(out, "pretrain", PRETRAIN, (f"seed={seed}", *overrides), tell)
    for name, init in (("pretrained", str(folder / "runs" / "pretrain")), ("scratch", "null")):
        with _timed(out, f"fine-tuning, {name}"):
            _train(out, name, FINETUNE, (f"seed={seed}", f"model.init={init}", *overrides), tell)
    with _timed(out, "evaluation"):
        out.pretrained, out.scratch = (_judge(out, name, clips, seed, tell) for name in ("pretrained", "scratch"))
        out.gain = against(out.pretrained, folder / "runs" / "scratch" / "evaluation" / "test")
    with _timed(out, "prediction"):
        _read_new_video(out, settings, seconds, tell)
    return out


def _train(out: Outcome, name: str, recipe: str, overrides: tuple[str, ...], tell: Tell) -> None:
    tell(f"training: {name}", None)
    manifest = f"data.manifest={out.folder / 'clips' / 'manifest.csv'}"
    loaded = load_recipe(recipe, [manifest, "data.corpus=synthetic", *overrides])
    out.runs[name] = fit(loaded, out.folder / "runs" / name, resume=True)


def _judge(out: Outcome, name: str, clips: Manifest, seed: int, tell: Tell) -> EvaluationResult:
    tell(f"judging on people never seen: {name}", None)
    run = out.folder / "runs" / name
    result = evaluate(run, clips, "test", EvaluationSettings(seed=seed, workers=1))
    result.write(run / "evaluation" / "test")
    return result


def _read_new_video(out: Outcome, settings: SyntheticSettings, seconds: float, tell: Tell) -> None:
    out.video.parent.mkdir(parents=True, exist_ok=True)
    tell("filming two people who are in no corpus", None)
    film_two_faces(out.video, settings, seconds)
    tell("reading the new video", None)
    out.timeline = predict(out.video, out.bundle)
    out.timeline.to_csv(out.table)
    out.timeline.to_html(out.curves)
    out.timeline.overlay(out.overlay)


@contextmanager
def _timed(out: Outcome, step: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    out.seconds[step] = time.monotonic() - start


def _share(tell: Tell, text: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(text, done / max(total, 1))
