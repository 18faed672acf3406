"""From a recipe to what is trained: data, objective, and the Specification that the weights will carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mien.checkpoints import hub
from mien.checkpoints.files import find_bundle, read_specification
from mien.checkpoints.handover import initialise_from
from mien.data.augment import Augmented
from mien.data.dataset import ClipDataset
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.sampling import RandomWindow
from mien.data.seeding import generator
from mien.data.streams import StreamStore
from mien.data.targets import TargetSpec
from mien.errors import UsageError
from mien.models.contract import Encoder, Recogniser
from mien.models.registry import inputs_for
from mien.models.specification import UNKNOWN_CORPUS, Exposure, Inputs, Provenance, Specification
from mien.nn.recompute import recompute
from mien.pretext import Pretext, create_pretext
from mien.tasks import Classification, Task, create_model, create_task
from mien.training.ledger import exposures
from mien.training.objective import Objective, PretextObjective, TaskObjective
from mien.training.schema import Recipe


@dataclass(frozen=True)
class Experiment:
    """Everything that a recipe asks for, built but not yet trained.

    Attributes:
        manifest, protocol: the corpus and its parts.
        train: clips to train on.
        objective: module and loss.
        task: None in pretraining.
        specification: of the weights that will come out.
    """

    recipe: Recipe
    manifest: Manifest
    protocol: Protocol
    train: ClipDataset
    objective: Objective
    task: Task | None
    specification: Specification


def build(recipe: Recipe) -> Experiment:
    """Read the manifest, divide it, build the model and load what it starts from.

    Initial weights depend on the recipe's seed alone, so every process and every session builds the same.
    """
    manifest = Manifest.read(recipe.data.manifest)
    protocol = Protocol.from_manifest(manifest, recipe.data.protocol)
    inputs = inputs_of(recipe)
    torch.manual_seed(seed_for(recipe.seed, "weights"))
    objective, task = build_objective(recipe, inputs)
    if recipe.hardware.recompute and not recompute(objective):
        raise UsageError(f"hardware.recompute: model {recipe.model.name!r} has no transformer blocks; set it to false")
    before = start_from(recipe.model.init, objective.encoder, recipe.model.name) if recipe.model.init else Provenance()
    read, transform = inputs, None
    if isinstance(objective.trained, Pretext):
        read = objective.trained.reads(inputs)
        transform = objective.trained.transform(read, recipe.augmentation)
    dataset = ClipDataset(
        manifest,
        protocol.train,
        read,
        RandomWindow(recipe.data.sampling.windows * recipe.data.sampling.repeats, recipe.data.sampling.rule),
        transform or Augmented(read, recipe.augmentation, later=True),
        targets=target_spec(task) if task else None,
        extras=getattr(objective.trained, "extras", None),
        seed=recipe.seed,
        streams=recipe.data.streams,
        cache=recipe.data.cache,
    )
    if isinstance(task, Classification) and dataset.clip_targets is not None:
        task.count(dataset.clip_targets)
    if dataset.streams is not None:
        inputs = with_sources(inputs, dataset.streams)
    specification = _specification(recipe, inputs, protocol, before, exposures(recipe, manifest, protocol))
    return Experiment(recipe, manifest, protocol, dataset, objective, task, specification)


def build_objective(recipe: Recipe, inputs: Inputs) -> tuple[Objective, Task | None]:
    """The module that a recipe trains, with its loss; initial weights come from torch's generator as it stands."""
    model = recipe.model
    if recipe.pretext is not None:
        if inputs.video is None:
            raise UsageError(f"model {model.name!r} sees no video; {recipe.pretext.kind} cannot pretrain it")
        pretext = create_pretext(recipe.pretext.kind, model.name, model.arguments, inputs.video, recipe.pretext.options)
        return PretextObjective(pretext), None
    assert recipe.task is not None  # the schema holds that one of the two is there
    task = create_task(recipe.task)
    if recipe.mixing.on and (task.classes is None or recipe.task.level != "clip"):
        raise UsageError("mixing needs a classification of whole clips; set mixing to {}")
    recogniser = create_model(model.name, task, **model.arguments)
    assert isinstance(recogniser, Recogniser)
    return TaskObjective(recogniser, task), task


def inputs_of(recipe: Recipe) -> Inputs:
    """How the registered model is fed, with the recipe's sampling in the place of the defaults."""
    inputs = inputs_for(recipe.model.name, recipe.model.arguments)
    sampling = recipe.data.sampling
    if sampling.alignment is not None:
        inputs = Inputs.model_validate(inputs.model_dump() | {"alignment": sampling.alignment})
    changes: dict[str, Any] = {
        key: value
        for key in ("frames", "stride", "fps", "size", "crop", "channels", "mean", "std", "centre")
        if (value := getattr(sampling, key)) is not None
    }
    if "stride" in changes or "fps" in changes:
        changes = {"stride": None, "fps": None} | changes
    if changes:
        if inputs.video is None:
            name = next(iter(changes))
            raise UsageError(f"data.sampling.{name}: model {recipe.model.name!r} takes no video; remove it")
        _agree(recipe.model.arguments, changes)
        video = type(inputs.video).model_validate(inputs.video.model_dump() | changes)
        inputs = inputs.model_copy(update={"video": video})
    if recipe.task is not None and recipe.task.level == "frame":
        _same_stretch(inputs)
    return inputs


def with_sources(inputs: Inputs, store: StreamStore) -> Inputs:
    """Inputs that say of every stream what extracted it, so that prediction extracts it in the same way."""
    told = tuple(
        stream.model_copy(update={key: getattr(store.streams[stream.name], key) for key in ("extractor", "revision")})
        for stream in inputs.streams
    )
    return inputs.model_copy(update={"streams": told})


def start_from(source: str | Mapping[str, str], encoder: Encoder, model: str) -> Provenance:
    """Carry weights of runs, bundles or hub ids over into ``encoder``; returns what they have seen so far.

    Args:
        source: of the whole model, of the encoder that it adds a branch to, or of the one part whose modality it takes;
            by modality, of several parts.
        encoder: gets the weights.
        model: its registered name.
    """
    if not isinstance(source, str):
        return _together([_start_part(one, encoder, modality) for modality, one in source.items()])
    specification = read_specification(_folder(source))
    taken = [name for name in ("video", "sound") if getattr(specification.inputs, name) is not None]
    if specification.model != model and len(taken) == 1 and taken[0] in encoder.parts():
        return _start_part(source, encoder, taken[0])
    beside_a_branch = encoder.core()[1] is not encoder  # the source may be the encoder that the branch is added to
    if specification.model != model and not beside_a_branch:
        raise UsageError(f"model.init={source} holds {specification.model}, the recipe asks for {model}")
    initialise_from(_folder(source), encoder)
    return _origin(specification)


def _start_part(source: str, encoder: Encoder, modality: str) -> Provenance:
    folder = _folder(source)
    try:
        initialise_from(folder, encoder, modality)
    except UsageError as error:
        raise UsageError(f"model.init.{modality}={source}: {error}") from None
    return _origin(read_specification(folder))


def _origin(specification: Specification) -> Provenance:
    """Weights of which nothing is recorded have seen something unknown, and every later ledger says so."""
    before = specification.provenance
    if before.ledger:
        return before
    return before.model_copy(update={"ledger": (Exposure(corpus=UNKNOWN_CORPUS, stage="pretraining"),)})


def _folder(source: str) -> Path:
    return hub.pull(source) if hub.is_hub_id(source) else find_bundle(Path(source))


def _together(many: Sequence[Provenance]) -> Provenance:
    """What several sources have seen, and their terms."""

    def joined(values: Iterable[str]) -> str:
        return "; ".join(dict.fromkeys(value for value in values if value))

    return Provenance(
        licence=joined(one.licence for one in many),
        paper=joined(one.paper for one in many),
        ledger=tuple(dict.fromkeys(entry for one in many for entry in one.ledger)),
        notes=tuple(dict.fromkeys(note for one in many for note in one.notes)),
    )


def target_spec(task: Task) -> TargetSpec:
    """Where the truth of a task stands in a manifest."""
    return TargetSpec(task.target_columns(), task.classes, task.config.level)


def seed_for(seed: int, purpose: str, *keys: int) -> int:
    """Seed of torch's generator for one use."""
    return int(generator(seed, purpose, *keys).integers(2**63))


def _agree(arguments: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
    for key in ("frames", "size"):
        if key in arguments and key in sampling and arguments[key] != sampling[key]:
            raise UsageError(
                f"model.arguments.{key}={arguments[key]} but data.sampling.{key}={sampling[key]}; make them equal"
            )


def _same_stretch(inputs: Inputs) -> None:
    """Per-frame answers of sound and picture together need both to cover the same stretch of time."""
    video = inputs.video
    seconds = None if inputs.sound is None else inputs.sound.options.get("seconds")
    if video is None or seconds is None:
        return
    seen = video.frames / video.fps if video.frames is not None and video.fps is not None else None
    if seen is None or abs(seen - seconds) > 0.02 * seconds:
        frames = f"{video.frames} frames, {'no fps' if video.fps is None else f'{video.fps:g} per second'}"
        raise UsageError(
            f"task.level=frame: the model hears {seconds:g} s and sees {frames}; set data.sampling.frames and fps to "
            "that stretch"
        )


def _specification(
    recipe: Recipe, inputs: Inputs, protocol: Protocol, before: Provenance, seen: tuple[Exposure, ...]
) -> Specification:
    provenance = Provenance(
        source=recipe.name + recipe.model.origin,
        licence=before.licence,
        paper=before.paper,
        recipe=recipe.name,
        ledger=(*before.ledger, *seen),
        notes=(*before.notes, *protocol.notes),
    )
    return Specification(
        model=recipe.model.name,
        arguments=recipe.model.arguments,
        inputs=inputs,
        task=recipe.task,
        provenance=provenance,
    )
