"""A recipe's tiny twin on made-up material: everything that the recipe says except its size, for one optimiser step.

What only shows when something runs (columns, masks, mixing, parameter groups, losses) shows here, in a second and
without the corpus.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.manifest import Manifest
from mien.data.settings import ProtocolSettings
from mien.data.streams import STORE, Stream, write_store
from mien.media.writer import VideoWriter
from mien.models.registry import default_inputs, list_models
from mien.models.specification import StreamInput
from mien.pretext import Moment
from mien.tasks import create_task
from mien.training.batches import Batches, Step
from mien.training.experiment import Experiment, build, inputs_of
from mien.training.hardware import make_fabric
from mien.training.recipe import check_recipe
from mien.training.schedules import learning_rates
from mien.training.schema import Recipe
from mien.training.stepper import Outcome, Stepper

# Arguments of builders that say how large a model is; a twin has its own.
SIZES = frozenset(
    {
        "frames", "size", "tubelet", "patch", "dim", "depth", "depths", "heads", "bottlenecks", "region", "widths",
        "blocks", "latents", "streams",
    }
)  # fmt: skip
ROWS, BATCH, FRAMES, SHORT, FPS, SIDE, STREAM_WIDTH = 15, 4, 100, 8, 25, 72, 8


@dataclass(frozen=True)
class Rehearsal:
    """The model of the twin, and the loss of its step."""

    model: str
    loss: float


@dataclass(frozen=True)
class Stage:
    """A twin that is ready for its first step."""

    experiment: Experiment
    data: Step
    steps_per_epoch: int


def rehearse(recipe: Recipe, folder: Path) -> Rehearsal:
    """Train the twin of a recipe for one step on noise.

    Args:
        recipe: any recipe; its corpus and starting weights need not exist.
        folder: for the made-up material; the recording in it is used again by later calls.

    Raises:
        MienError: the recipe cannot be run; the message says why.
    """
    stage = staged(recipe, folder)
    fabric = make_fabric(stage.experiment.recipe.hardware, "fp32")
    fabric.launch()
    return Rehearsal(stage.experiment.recipe.model.name, one_step(Stepper(stage.experiment, fabric), stage).loss)


def staged(recipe: Recipe, folder: Path) -> Stage:
    """The twin of a recipe with its first clips, built upon its made-up material."""
    twin = twin_of(recipe, folder / "manifest.csv")
    _write_material(twin, folder)
    experiment = build(twin)
    batches = Batches(twin, experiment.train, 0, 1, pin_memory=False)
    return Stage(experiment, next(batches.starting_at(0)), batches.steps_per_epoch)


def one_step(stepper: Stepper, stage: Stage) -> Outcome:
    """A step on the staged clips."""
    recipe, data = stage.experiment.recipe, stage.data
    # with warm-up the first rate is 0: a step that changes nothing would show less
    rate = float(learning_rates(recipe, stage.steps_per_epoch).max())
    moment = Moment(0, 2, stage.steps_per_epoch)
    clips = sum(len(part) for part in data.parts)
    return stepper.take(data, clips, moment, rate, recipe.optimiser.weight_decay)


def twin_of(recipe: Recipe, manifest: Path) -> Recipe:
    """The recipe with the smallest model of its family, a small batch, one device and no starting weights."""
    values: dict[str, Any] = recipe.model_dump(mode="json")
    name = tiny_model(recipe.model.name)
    streams = inputs_of(recipe).streams
    if name != recipe.model.name:
        arguments = {key: value for key, value in recipe.model.arguments.items() if key not in SIZES}
        values["model"]["arguments"] = arguments
        video = default_inputs(name).video
        # a model of any length is given clips that are short
        frames = SHORT if recipe.pretext and video is not None and video.frames is None else None
        values["data"]["sampling"] |= {"frames": frames, "size": None, "crop": None}
    if streams:
        values["model"]["arguments"]["streams"] = {stream.name: STREAM_WIDTH for stream in streams}
    values["model"] |= {"name": name, "init": None}
    for role in ("test", "validation_subjects"):  # no more names than rows of that part
        values["data"]["protocol"][role] = values["data"]["protocol"][role][:2]
    accumulate = min(recipe.optimiser.accumulate, 2)
    values["data"] |= {"manifest": str(manifest), "streams": None, "batch": BATCH, "workers": 0}
    values["optimiser"]["accumulate"] = accumulate
    values["hardware"] = {"accelerator": "cpu", "recompute": recipe.hardware.recompute}
    return check_recipe(values, recipe.name)


def tiny_model(name: str) -> str:
    """The ``*_test`` size of a registered model's family: the one that shares most of its name; else the model."""
    tests = set(list_models("*_test"))
    words = name.split("_")
    for count in range(len(words), 0, -1):
        candidate = "_".join([*words[:count], "test"])
        if name in tests or candidate in tests:
            return name if name in tests else candidate
    return name


def _write_material(recipe: Recipe, folder: Path) -> None:
    """One recording of noise, and a manifest in which protocol, targets and streams find what they need."""
    rng = np.random.default_rng(0)
    recording = folder / "noise.mp4"
    if not recording.exists():
        with VideoWriter(recording, size=(SIDE, SIDE), fps=FPS, sound_rate=16000) as video:
            for image in rng.integers(0, 256, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8):
                video.write(image)
            video.write_sound(rng.uniform(-0.5, 0.5, 16000 * FRAMES // FPS).astype(np.float32))
    rows: list[dict[str, Any]] = [
        {"id": f"clip{number}", "path": recording.name, "group": f"video{number}"} | _part(number, recipe.data.protocol)
        for number in range(ROWS)
    ]
    if recipe.task is not None:
        _add_truth(recipe, rows, folder, rng)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    streams = inputs_of(recipe).streams
    if streams:
        _write_streams(Manifest.read(folder / "manifest.csv"), streams, folder / STORE, rng)


def _part(number: int, protocol: ProtocolSettings) -> dict[str, str]:
    """Where a row stands: two of fifteen validate and two test, under whichever name the protocol has for it."""
    part = ("test", "validation", *(["train"] * 6))[number % 8]
    folds = {"test": protocol.fold, "validation": protocol.validation_fold}
    fold = folds.get(part)
    named = {"test": protocol.test, "validation": protocol.validation_subjects}.get(part, ())
    subject = named[number // 8 % len(named)] if named else f"person{number}"
    return {"split": part, "fold": "another" if fold is None else str(fold), "subject": subject}


def _add_truth(recipe: Recipe, rows: list[dict[str, Any]], folder: Path, rng: np.random.Generator) -> None:
    assert recipe.task is not None
    task = create_task(recipe.task)
    columns = task.target_columns()
    if recipe.task.level == "clip":
        for number, row in enumerate(rows):
            for column in columns:
                row[column] = task.classes[number % len(task.classes)] if task.classes else round(rng.uniform(), 3)
        return
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *columns])
        for index in range(FRAMES):
            truth = [task.classes[index % len(task.classes)]] if task.classes else rng.uniform(-1, 1, len(columns))
            writer.writerow([index / FPS, *truth])
    for row in rows:
        row["labels"] = "labels.csv"


def _write_streams(manifest: Manifest, streams: tuple[StreamInput, ...], store: Path, rng: np.random.Generator) -> None:
    steps = streams[0].steps or 16
    times = np.arange(steps) / FPS
    content = {
        (stream.name, id_): Stream(rng.standard_normal((steps, stream.width)).astype(np.float32), times)
        for stream in streams
        for id_ in manifest.ids
    }
    write_store(store, {stream.name: stream for stream in streams}, content, {})
