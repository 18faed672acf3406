"""What every converter answers: a published model's arguments and weights in our terms, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, Literal

from torch import Tensor

import mien.checkpoints.convert as package
from mien.checkpoints.convert.renaming import Renaming
from mien.checkpoints.reading import Foreign, read_foreign
from mien.errors import MienError, UsageError, nearest
from mien.models.specification import Inputs, TaskConfig

Form = Literal["finetuned", "pretraining"]


@dataclass(frozen=True)
class Plan:
    """A published model in our terms.

    Attributes:
        form: ``finetuned`` (an encoder with a head) or ``pretraining`` (an encoder inside its pretext).
        model: registered name.
        arguments: keyword arguments of its builder.
        outputs: width of the head; 0 where there is none.
        pretext: options of the pretext; empty for ``finetuned``.
        pretext_kind: which pretext (``mien.pretext.PRETEXTS``); empty where the file's encoder is all that is read.
        head: options of the head that the published arguments name.
        task: what the head is for, where the architecture itself says it.
        inputs: how the published model is fed, where that is not as the registered one is.
    """

    form: Form
    model: str
    arguments: dict[str, Any]
    outputs: int = 0
    pretext: dict[str, Any] = field(default_factory=dict)
    pretext_kind: str = "masked_autoencoder"
    head: dict[str, Any] = field(default_factory=dict)
    task: TaskConfig | None = None
    inputs: Inputs | None = None


class Converter(ABC):
    """Published names and arguments of one system ↔ ours. Strict both ways: every tensor has its place or it fails.

    Our side of ``finetuned`` is the state of a ``Recogniser`` (``encoder.*``, ``head.*``); of ``pretraining`` that of
    the pretext (``encoder.*``, ...).

    Attributes:
        system: name of the system; the module's name too.
        licence: terms of the published weights.
        paper: where the system was published.
    """

    system: ClassVar[str]
    licence: ClassVar[str] = ""
    paper: ClassVar[str] = ""

    def read(self, file: Path, entry: str | None) -> Foreign:
        """The weights of a published file, without executing it; see ``mien.checkpoints.reading.read_foreign``."""
        return read_foreign(file, entry)

    def holds(self, model: str) -> bool:
        """Whether a registered model is one of this system."""
        return model == self.system or model.startswith(f"{self.system}_")

    def recognised(self, digest: str) -> str:
        """Which published file has this SHA-256, in words; empty where it is none that is known."""
        return ""

    def seen(self, digest: str) -> tuple[str, ...]:
        """Corpora that the published file with this SHA-256 was trained on, in order; empty where that is not known."""
        return ()

    @abstractmethod
    def plan_arguments(self, published: Mapping[str, Any]) -> Plan:
        """Plan from the keyword arguments of the published constructor; ``UsageError`` for one it does not have."""

    @abstractmethod
    def plan_state(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> Plan:
        """Plan from published weights; ``options`` are those of the training run, for what tensors do not tell.

        Raises ``MienError`` where the weights are not of this system.
        """

    @abstractmethod
    def renaming(self, plan: Plan) -> Renaming:
        """The table of names for a plan."""

    def model_name(self, published: str) -> str:
        """The published model's name of a tensor that a file may hold under another one (a pretext's prefix)."""
        return published

    def to_mien(self, state: Mapping[str, Tensor], plan: Plan) -> dict[str, Tensor]:
        """Published weights under our names."""
        return self.renaming(plan).state_to_mien(state, self.system)

    def to_published(self, state: Mapping[str, Tensor], plan: Plan) -> dict[str, Tensor]:
        """Our weights under published names."""
        return self.renaming(plan).state_to_published(state, self.system)


def telling(arguments: Mapping[str, Any], builder: Callable[..., Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments worth writing down: those that differ from the defaults, and always the length and size of clips.

    Args:
        arguments: of a registered function.
        builder: the class behind it, whose signature holds the defaults.
        fixed: defaults that the registered function changes.
    """
    defaults = {name: parameter.default for name, parameter in signature(builder).parameters.items()} | dict(fixed)
    kept = {"frames", "size"}
    return {name: value for name, value in arguments.items() if name in kept or value != defaults[name]}


def heads_of(dim: int, told: Any) -> int:
    """Attention heads: as told, else of width 64 as in every published size; ``MienError`` where that cannot be."""
    if not told and dim % 64:
        raise MienError(f"width {dim} was never published, and weights do not tell the attention heads; give --heads")
    return int(told or dim // 64)


def systems() -> list[str]:
    """Names of systems with a converter: one module each that holds ``CONVERTER``."""
    return sorted(m.name for m in iter_modules(package.__path__) if m.name not in {"base", "renaming"})


def get_converter(system: str) -> Converter:
    """The converter of a system; ``UsageError`` lists those that there are."""
    if system not in systems():
        raise UsageError(f"system {system!r} has no converter; {nearest(system, systems())}")
    converter: Converter = import_module(f"mien.checkpoints.convert.{system}").CONVERTER
    return converter
