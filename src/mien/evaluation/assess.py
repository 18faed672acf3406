"""Judge a run or bundle on a manifest: multi-view test, metrics with intervals, what the weights have seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mien.checked import Checked
from mien.checkpoints.bundle import load
from mien.checkpoints.files import WEIGHTS
from mien.data.augment import Deterministic
from mien.data.dataset import ClipDataset
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.order import EpochOrder
from mien.data.protocol import Protocol
from mien.data.sampling import CoveringWindows, EvenViews, Sampling
from mien.data.targets import TargetSpec
from mien.errors import MienError, UsageError
from mien.evaluation.abstention import answered, reasons
from mien.evaluation.averaging import average_groups, representatives
from mien.evaluation.classes import by_class
from mien.evaluation.cost import CostMeter, count_macs, count_parameters, one_view
from mien.evaluation.intervals import FEW_UNITS, LEVEL, REPLICATES
from mien.evaluation.metrics import CALIBRATION
from mien.evaluation.parts import Part, PartName, TrainingRecord, choose
from mien.evaluation.predictions import MOST_VIEWS, Predictions, predict_views
from mien.evaluation.result import EvaluationResult, Weights, units_of, videos_of
from mien.evaluation.scores import judge, score
from mien.evaluation.smoothing import apply
from mien.evaluation.subgroups import by_subgroup, subgroup_columns, subgroups_of
from mien.files import sha256
from mien.memory import smaller, within_memory
from mien.models.device import device_named, placed
from mien.models.specification import Calibration, Inputs
from mien.tasks import Task

# Told how many of how many clips are done.
Progress = Callable[[int, int], None]


class EvaluationSettings(Checked):
    """How clips are judged.

    Attributes:
        views: evenly spaced windows per clip, merged by the task; per-frame tasks cover the clip instead.
        crops: squares along the longer side of pictures that are not square.
        batch: clips read at once, and half of the views that the model sees at once; one part at a time where clips
            are long.
        workers: processes that read clips; 0 reads in this one.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``bf16`` multiplies matrices in bfloat16.
        streams: store of feature streams; by default beside the manifest.
        groups: columns to judge by group, beside the well-known ones (``mien.evaluation.subgroups``).
        corpus: name of the corpus in ledgers; by default the manifest's folder.
        raw: judge outputs as the model gives them, where its bundle holds smoothing.
        replicates, level, seed: of the bootstrap.
    """

    views: int = Field(default=2, ge=1)
    crops: int = Field(default=1, ge=1)
    batch: int = Field(default=8, ge=1)
    workers: int = Field(default=0, ge=0)
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    streams: Path | None = None
    groups: tuple[str, ...] = ()
    corpus: str = ""
    raw: bool = False
    replicates: int = Field(default=REPLICATES, ge=1)
    level: float = Field(default=LEVEL, gt=0, lt=1)
    seed: int = 0

    @property
    def forward(self) -> dict[str, Any]:
        """What ``predict_views`` is told of them."""
        return {"bf16": self.precision == "bf16", "most_views": min(MOST_VIEWS, 2 * self.batch)}

    def within_memory(self) -> AbstractContextManager[None]:
        """Memory that runs out inside ends the work with one line that says what to make smaller."""
        device = device_named(self.device)
        if device.type == "cpu":
            further = f"--workers {self.workers // 2}" if self.workers else ""
        else:
            further = "--precision bf16" if self.precision == "fp32" else ""
        work = f"with {self.batch} clip{'s' if self.batch > 1 else ''} at once on {device}"
        return within_memory(work, smaller(self.batch, 1, device.type, *filter(None, [further])))


def evaluate(
    source: str | Path,
    manifest: Manifest | Path | str,
    part: PartName = "test",
    settings: EvaluationSettings | None = None,
    metrics: Sequence[str] = (),
    protocol: Protocol | None = None,
    published: bool = False,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Judge weights on one part of a corpus.

    Args:
        source: folder of a run or bundle, or a hub id.
        manifest: the corpus, with the task's target column(s).
        part: which rows; see ``mien.evaluation.parts.choose`` for how they are found.
        settings: views, device, precision, bootstrap.
        metrics: further metrics beside the task's own.
        protocol: division of the rows, where neither the run's own nor the column ``split`` is meant.
        published: state, instead of refusing, that trained people or clips are judged.
        progress: told how many of how many clips are done.

    Raises:
        UsageError: columns or labels do not fit the task, the part is empty, or the weights have trained on it.
        MienError: the bundle is damaged, or no clip could be read.
    """
    settings = settings or EvaluationSettings()
    manifest = manifest if isinstance(manifest, Manifest) else Manifest.read(manifest)
    device = device_named(settings.device)
    bundle = load(source)
    task = bundle.task
    if task is None:
        raise UsageError(
            f"{source} is a bare encoder without a task, there is nothing to judge; train it on a task first"
        )
    record = TrainingRecord.read(source)
    chosen = choose(
        manifest, part, record, protocol, bundle.specification.provenance.ledger, published, settings.corpus
    )
    columns = subgroup_columns(manifest, settings.groups)
    loader = evaluation_loader(manifest, chosen.ids, bundle.specification.inputs, task, settings)
    model = placed(bundle.model, settings.device)
    told = None if progress is None else lambda done: progress(done, len(chosen.ids))
    with settings.within_memory():
        predictions, cost = _predict(model, task, loader, device, settings, told)
    weights = Weights(
        str(source), bundle.specification.model, record.weights if record else "", sha256(bundle.folder / WEIGHTS)
    )
    used = settings.model_dump(mode="json") | {"device": str(device), "groups": list(columns)}
    if bundle.specification.smoothing and not settings.raw:
        predictions = apply(bundle.specification.smoothing, predictions)
        used["smoothing"] = bundle.specification.smoothing_text()
    known = bundle.specification.calibration
    names = names_for(task, metrics)
    result = judged(task, weights, manifest, chosen, predictions, names, used, cost, calibration=known)
    return _with_contributions(result, model, bundle.specification.inputs, settings)


def _predict(
    model: nn.Module,
    task: Task,
    loader: ClipLoader,
    device: torch.device,
    settings: EvaluationSettings,
    progress: Callable[[int], None] | None,
) -> tuple[Predictions, dict[str, Any]]:
    """Predictions with pooled features, and what they cost."""
    sample: dict[str, Tensor] = {}
    hook = model.register_forward_pre_hook(lambda _, inputs: sample.update(sample or one_view(inputs[0])))
    meter = CostMeter(device)
    predictions = predict_views(model, task, loader, **settings.forward, progress=progress, features=True)
    hook.remove()
    cost = asdict(meter.read()) | {
        "views": sum(clip.views for clip in predictions.clips),
        "parameters": count_parameters(model),
        "macs_per_view": count_macs(model, dict(sample)) if sample else None,
    }
    return predictions, cost


def _with_contributions(
    result: EvaluationResult, model: nn.Module, inputs: Inputs, settings: EvaluationSettings
) -> EvaluationResult:
    """With notes on what each of several feature streams adds; as it is for every other model."""
    if (
        len(inputs.streams) < 2
        or inputs.video is not None
        or result.task.per_group
        or result.task.config.level == "frame"
    ):
        return result
    from mien.evaluation.contribution import stream_notes  # which judges results, too

    def again() -> ClipLoader:
        return evaluation_loader(result.manifest, result.part.ids, inputs, result.task, settings)

    with settings.within_memory():
        told = stream_notes(model, again, [stream.name for stream in inputs.streams], result)
    return replace(result, notes=(*result.notes, *told))


def names_for(task: Task, further: Sequence[str] = ()) -> tuple[str, ...]:
    """Metrics that a task is judged by: its own, for classes what its probabilities are worth, and further ones."""
    return tuple(dict.fromkeys([*task.metrics(), *(CALIBRATION if task.classes is not None else ()), *further]))


def judged(
    task: Task,
    weights: Weights,
    manifest: Manifest,
    part: Part,
    predictions: Predictions,
    names: Sequence[str],
    settings: dict[str, Any],
    cost: dict[str, Any] | None = None,
    probable: bool = True,
    calibration: Calibration | None = None,
) -> EvaluationResult:
    """The result of predictions; arguments as in ``EvaluationResult``, ``calibration`` of the bundle.

    Raises:
        MienError: no clip could be read.
    """
    if not predictions.clips:
        first = predictions.failures[0].reason if predictions.failures else "there are none"
        raise MienError(f"none of the {len(part.ids)} clips could be read; the first: {first}")
    asked, read = len(part.ids), len(predictions.clips)
    if task.per_group:
        part = replace(part, ids=tuple(sorted(set(representatives(manifest, part.ids).values()))))
        predictions = average_groups(predictions, manifest)
    ids = predictions.ids
    units, videos = units_of(manifest, ids), videos_of(manifest, ids)
    judgements = judge(task, predictions, names, units, videos)
    drawn = settings["level"], settings["replicates"], settings["seed"]
    groups = subgroups_of(manifest, ids, settings["groups"])
    scores = score(judgements, *drawn)
    notes = [*part.notes, *_on_intervals(scores[0].interval.units, units)]
    if task.per_group:
        notes.append(
            f"outputs of {read} clips are averaged within {len(ids)} groups (videos): figures count groups, and a row "
            "of the predictions stands for its group"
        )
    if smoothing := settings.get("smoothing"):
        notes.append(f"outputs are smoothed over time, as fitted on validation clips ({smoothing})")
    if predictions.failures:
        notes.append(f"{len(predictions.failures)} of {asked} clips could not be read and are not scored")
    trust = None if calibration is None else reasons(task, predictions, manifest, calibration)
    matrix = next((one for one in judgements if one.name == "uar"), None)
    return EvaluationResult(
        task=task,
        weights=weights,
        manifest=manifest,
        part=part,
        predictions=predictions,
        judgements=tuple(judgements),
        scores=scores,
        unit="clip" if units is None else "subject",
        settings=settings,
        notes=tuple(notes),
        classes=by_class(matrix, task.classes, *drawn) if matrix and task.classes is not None else (),
        groups=by_subgroup(task, predictions, groups, units, *drawn),
        cost=cost or {},
        probable=probable,
        answered=None if trust is None else answered(task, predictions, trust, units, videos, *drawn),
    )


def evaluation_loader(
    manifest: Manifest,
    ids: Sequence[str],
    inputs: Inputs,
    task: Task,
    settings: EvaluationSettings | None = None,
    rank: int = 0,
    world: int = 1,
) -> ClipLoader:
    """Batches for ``predict_views``: evenly spaced views of every clip, or windows that cover it for a task per frame.

    With several processes every clip goes to exactly one of them; ``Predictions.join`` puts the parts together.
    """
    settings = settings or EvaluationSettings()
    per_frame = task.config.level == "frame"
    sampling: Sampling = CoveringWindows() if per_frame else EvenViews(settings.views, settings.crops)
    targets = TargetSpec(task.target_columns(), task.classes, task.config.level)
    dataset = ClipDataset(
        manifest, ids, inputs, sampling, Deterministic(inputs), targets, seed=settings.seed, streams=settings.streams
    )
    batch = dataset.at_once(settings.batch)
    order = EpochOrder(settings.seed, len(dataset), batch, shuffle=False, drop_last=False, rank=rank, world=world)
    return ClipLoader(dataset, order, settings.workers, max_unreadable=None)


def _on_intervals(units: int, subjects: Sequence[str] | None) -> list[str]:
    """What should be said of intervals over ``units``; ``subjects`` as ``units_of`` gives them."""
    notes = []
    unknown = sum(subject.startswith("\0") for subject in subjects or ())
    if subjects is None:
        notes.append("subjects are unknown: intervals take clips as independent and are too narrow if they are not")
    elif unknown:
        notes.append(f"{unknown} clips have no subject and count as one of their own each")
    if units < 2:
        notes.append("one unit alone has no interval")
    elif units < FEW_UNITS:
        notes.append(f"only {units} {'clips' if subjects is None else 'subjects'}: intervals say little about others")
    return notes
