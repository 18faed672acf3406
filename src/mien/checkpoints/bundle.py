"""Bundles: the folder that users hold. Saved complete or not at all, loaded without running anything from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from mien.checkpoints import hub
from mien.checkpoints.card import ModelCard, render_card, restate_smoothing
from mien.checkpoints.files import CARD, find_bundle, read_specification, read_weights, write_bundle
from mien.checkpoints.strict import check_fit, load_strictly
from mien.errors import MienError, UsageError
from mien.models import Encoder, Recogniser, create_encoder
from mien.models.device import device_named
from mien.models.specification import Smoothing, Specification
from mien.nn.initialise import SkipInitialisation
from mien.tasks import Task, create_task


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded model with everything needed to run it.

    Attributes:
        model: in eval mode; a ``Recogniser``, or a bare ``Encoder`` where there is no task.
        specification: how it is fed and read.
        task: reads its outputs; None for a bare encoder.
        folder: where it was loaded from.
    """

    model: Recogniser | Encoder
    specification: Specification
    task: Task | None
    folder: Path

    @property
    def encoder(self) -> Encoder:
        """The encoder, with or without a task around it."""
        return self.model.encoder if isinstance(self.model, Recogniser) else self.model

    def __repr__(self) -> str:
        task = self.specification.task
        told = "bare encoder" if task is None else f"{task.kind} per {task.level}: {', '.join(task.outputs[:8])}"
        return f"Bundle({self.specification.model}, {told}, folder={str(self.folder)!r})"


def locate(source: Path | str) -> Path:
    """The local folder of a bundle; one with a hub id is fetched."""
    if not isinstance(source, str | Path):
        raise UsageError(f"source={source!r} is no place of a bundle; give a folder or a hub id")
    if not hub.is_hub_id(str(source)):
        return find_bundle(Path(source))
    try:
        return hub.pull(str(source))
    except MienError as error:
        raise type(error)(f"{source} is no folder here; {error}") from error


def build(specification: Specification) -> tuple[Recogniser | Encoder, Task | None]:
    """The model that a Specification describes, with start weights, and its task."""
    encoder = create_encoder(specification.model, **specification.arguments)
    if specification.task is None:
        return encoder, None
    task = create_task(specification.task)
    return task.make_model(encoder), task


def save(
    model: Recogniser | Encoder, specification: Specification, folder: Path | str, card: ModelCard | None = None
) -> Path:
    """Write a bundle: ``config.json``, ``model.safetensors`` and a model card ``README.md``.

    Args:
        model: a ``Recogniser`` where the specification has a task, else an ``Encoder``.
        specification: must rebuild exactly this model.
        folder: an earlier bundle there is replaced; anything else is refused.
        card: what the card says beyond the specification.

    Raises:
        MienError: the specification does not rebuild the model, or the folder cannot be written.
    """
    state = model.state_dict()
    with SkipInitialisation():
        rebuilt, _ = build(specification)
    check_fit(rebuilt, state, f"a {type(model).__name__} for the Specification of {specification.model}")
    folder = Path(folder)
    write_bundle(folder, specification, state, render_card(specification, card or ModelCard()))
    return folder


def store_smoothing(bundle: Bundle, smoothing: tuple[Smoothing, ...]) -> Specification:
    """Write a bundle's folder anew with other smoothing; weights and all else stay. Returns what it says now."""
    specification = Specification.model_validate({**dict(bundle.specification), "smoothing": smoothing})
    path = bundle.folder / CARD
    card = path.read_text(encoding="utf-8") if path.is_file() else render_card(specification, ModelCard())
    write_bundle(bundle.folder, specification, bundle.model.state_dict(), restate_smoothing(card, specification))
    return specification


def load(source: os.PathLike[str] | str, device: torch.device | str = "cpu") -> Bundle:
    """Load a bundle.

    Args:
        source: a bundle folder, a run that holds one, or a hub id ``owner/name`` or ``owner/name@revision``. Only an id
            is looked up over the network, and only where no folder could be meant (``mien.checkpoints.hub.is_hub_id``).
        device: where the model goes: ``cpu``, ``cuda``, ``cuda:1``, ...; ``auto`` is CUDA where there is one.

    Raises:
        MienError: nothing there, incomplete, damaged, or weights that do not fit the Specification.
        UsageError: the device is not there.

    Example:
        >>> bundle = mien.load("runs/mine")
        >>> bundle.specification.task.outputs
    """
    place = device_named(str(device))
    folder = locate(os.fspath(source) if isinstance(source, os.PathLike) else source)
    specification = read_specification(folder)
    with SkipInitialisation():
        model, task = build(specification)
    load_strictly(model, read_weights(folder), str(folder))
    return Bundle(model.to(place).eval(), specification, task, folder)
