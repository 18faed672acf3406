"""Published checkpoint → bundle, and bundle → published names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mien.checkpoints.bundle import build, load, save
from mien.checkpoints.convert.base import Plan, get_converter
from mien.checkpoints.files import check_replaceable, write_weights
from mien.checkpoints.strict import load_strictly
from mien.errors import UsageError
from mien.files import check_file, sha256
from mien.models import Encoder, Recogniser
from mien.models.registry import inputs_for
from mien.models.specification import (
    UNKNOWN_CORPUS,
    Exposure,
    Inputs,
    Provenance,
    Specification,
    TaskConfig,
    VideoInput,
)
from mien.nn.initialise import SkipInitialisation
from mien.pretext import create_pretext


@dataclass(frozen=True)
class Settings:
    """What a checkpoint cannot say about itself; None is what its training options or the publication say.

    Attributes:
        outputs: class names, or names of values, in the order of the head's rows.
        task: kind of task that the head serves.
        size, frames, stride: how clips are fed.
        heads: attention heads, for widths that were never published.
        licence: terms of these weights.
        seen: corpora that the weights were trained on, in the order of training, ``UNKNOWN_CORPUS`` for a stage that
            nobody recorded; the last one of a fine-tuned checkpoint is that of fine-tuning.
        entry: entry of the training checkpoint that holds the weights (for example ``model_ema``).
    """

    outputs: tuple[str, ...] | None = None
    task: str = "classification"
    size: int | None = None
    frames: int | None = None
    stride: int | None = None
    heads: int | None = None
    licence: str = ""
    seen: tuple[str, ...] | None = None
    entry: str | None = None


@dataclass(frozen=True)
class Conversion:
    """What became of a published file.

    Attributes:
        plan: the model in our terms.
        folder: the bundle.
        carried: published names of tensors that are in the bundle.
        dropped: published names of tensors that a bundle has no place for (decoder of a pretraining model).
        ledger: what the weights have seen, as the bundle says it.
    """

    plan: Plan
    folder: Path
    carried: tuple[str, ...]
    dropped: tuple[str, ...]
    ledger: tuple[Exposure, ...]


def convert(system: str, file: Path | str, folder: Path | str, settings: Settings | None = None) -> Conversion:
    """Convert a published checkpoint to a bundle; every tensor of the file must have its place in the model.

    A fine-tuned checkpoint becomes a recogniser. A pretraining checkpoint becomes a bare encoder: the whole pretext is
    filled and checked, then its encoder is kept.

    Args:
        system: whose format it is; ``mien.checkpoints.convert`` has a module for each.
        file: the checkpoint; nothing in it is executed.
        folder: gets the bundle; an earlier one there is replaced.
        settings: what the file does not say.

    Raises:
        UsageError: there is no such system, or ``settings`` do not fit the file.
        MienError: the file is damaged, asks for code, or holds a tensor too many, too few or of another shape.
    """
    settings, file, folder = settings or Settings(), Path(file), Path(folder)
    check_replaceable(folder)
    converter = get_converter(system)
    foreign = converter.read(file, settings.entry)
    told = {"input_size": settings.size, "num_frames": settings.frames, "num_heads": settings.heads}
    options = foreign.options | {name: value for name, value in told.items() if value is not None}
    plan = converter.plan_state(foreign.state, options)
    inputs = _inputs(plan, settings.stride or options.get("sampling_rate"))
    digest = sha256(file)
    known = converter.recognised(digest)
    licence = f"Weights by the authors of {system} are under {converter.licence}." if converter.licence else ""
    provenance = Provenance(
        created_by="mien convert",
        source=f"{file.name}, sha256 {digest}",
        licence=settings.licence,
        paper=converter.paper,
        ledger=_ledger(settings.seen or converter.seen(digest), plan),
        notes=tuple(note for note in (licence, f"The file is {known}." if known else "") if note),
    )
    task = _task(plan, settings) if plan.form == "finetuned" and plan.outputs else None
    specification = Specification(
        model=plan.model, arguments=plan.arguments, inputs=inputs, task=task, provenance=provenance
    )
    model = _filled(specification, plan, converter.to_mien(foreign.state, plan), str(file))
    save(model, specification, folder)
    kept = set(converter.to_published(_with_encoder_prefix(model), plan))
    carried = {name for name in foreign.state if converter.model_name(name) in kept}
    dropped = foreign.state.keys() - carried
    return Conversion(plan, folder, tuple(sorted(carried)), tuple(sorted(dropped)), provenance.ledger)


def export(system: str, source: Path | str, file: Path | str) -> int:
    """Write the weights of a bundle under published names to a safetensors file; returns the number of tensors.

    Raises:
        UsageError: the bundle's model is none of the system, or the file's name does not end in ``.safetensors``.
        MienError: the bundle is damaged, or the file cannot be written.
    """
    file = Path(file)
    if file.suffix != ".safetensors":
        raise UsageError(f"{file} does not end in .safetensors; weights are written as safetensors only")
    check_file(file)
    bundle = load(source)
    converter = get_converter(system)
    plan = plan_of(bundle.specification)
    if not converter.holds(plan.model):
        raise UsageError(f"{source} holds {plan.model}, which is no model of {system}; name its own system")
    published = converter.to_published(_with_encoder_prefix(bundle.model), plan)
    write_weights(file, published)
    return len(published)


def plan_of(specification: Specification) -> Plan:
    """The plan that a bundle's Specification stands for."""
    outputs = len(specification.task.outputs) if specification.task else 0
    form = "finetuned" if specification.task else "pretraining"
    return Plan(form, specification.model, dict(specification.arguments), outputs)  # type: ignore[arg-type]


def _filled(specification: Specification, plan: Plan, state: Mapping[str, Tensor], source: str) -> Recogniser | Encoder:
    with SkipInitialisation():
        if plan.form == "pretraining" and plan.pretext_kind:
            pretext = create_pretext(plan.pretext_kind, plan.model, plan.arguments, VideoInput(stride=1), plan.pretext)
            load_strictly(pretext, state, source)
            return pretext.encoder
        model, _ = build(specification)
    if isinstance(model, Encoder):
        state = {name.removeprefix("encoder."): value for name, value in state.items()}
    load_strictly(model, state, source)
    return model


def _with_encoder_prefix(model: Recogniser | Encoder) -> dict[str, Tensor]:
    prefix = "" if isinstance(model, Recogniser) else "encoder."
    return {prefix + name: value for name, value in model.state_dict().items()}


def _inputs(plan: Plan, stride: Any) -> Inputs:
    """The registered inputs with the checkpoint's size and length."""
    inputs = plan.inputs or inputs_for(plan.model, plan.arguments)
    if inputs.video is None:
        return inputs
    size = int(plan.arguments.get("size", inputs.video.size))
    changes: dict[str, Any] = {"size": size, "frames": plan.arguments.get("frames", inputs.video.frames)}
    if inputs.video.crop is not None:
        changes["crop"] = inputs.video.crop.model_copy(update={"size": size})
    if stride is not None:
        changes |= {"stride": int(stride), "fps": None}
    return Inputs(**(dict(inputs) | {"video": VideoInput(**(dict(inputs.video) | changes))}))


def _task(plan: Plan, settings: Settings) -> TaskConfig:
    if plan.task is not None:
        names: Sequence[str] = settings.outputs or plan.task.outputs
        if len(names) != len(plan.task.outputs):
            raise UsageError(f"{len(names)} names were given for a head that reads {', '.join(plan.task.outputs)}")
        return plan.task.model_copy(update={"outputs": tuple(names)})
    names = settings.outputs or [f"output_{i}" for i in range(plan.outputs)]
    if len(names) != plan.outputs:
        raise UsageError(f"{len(names)} names were given for a head with {plan.outputs} outputs; give one for each")
    activation = plan.head.get("activation") or "none"
    if activation != "none" and (settings.task != "dimensions" or activation not in ("tanh", "sigmoid")):
        raise UsageError(
            f"this head ends in {activation}, which task {settings.task!r} does not do; tanh and sigmoid are options "
            "of the task dimensions"
        )
    return TaskConfig(
        kind=settings.task,
        outputs=tuple(names),
        level="frame" if plan.head.get("per_frame") else "clip",
        options={} if activation == "none" else {"activation": activation},
    )


def _ledger(seen: Sequence[str], plan: Plan) -> tuple[Exposure, ...]:
    """What weights have seen, an entry per stage of training; nobody knows is an entry, too."""
    names = list(seen) or [UNKNOWN_CORPUS]
    stages = ["pretraining"] * len(names)
    if plan.form == "finetuned":
        stages[-1] = "fine-tuning"
    return tuple(
        Exposure.model_validate({"corpus": name, "stage": stage}) for name, stage in zip(names, stages, strict=True)
    )
