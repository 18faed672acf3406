"""The registry: every published configuration is a short function under its name, as timm does it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, TypeVar

from mien.errors import UsageError, nearest
from mien.models.contract import Encoder
from mien.models.specification import Inputs, StreamInput
from mien.plugins import enter, load_plugins

Builder = Callable[..., Encoder]
B = TypeVar("B", bound=Builder)

# Modules that register encoders; imported on first use so that `import mien` stays light.
ARCHITECTURES: tuple[str, ...] = (
    "mien.models.avfusion",
    "mien.models.efficientface",
    "mien.models.maedfer",
    "mien.models.motion",
    "mien.models.sound",
    "mien.models.svfap",
    "mien.models.vaerr",
    "mien.models.videomae",
    "mien.models.viper",
)

_builders: dict[str, Builder] = {}
_inputs: dict[str, Inputs] = {}


def register_model(inputs: Inputs) -> Callable[[B], B]:
    """Register a builder under its function name.

    The builder returns an ``Encoder``; its docstring names the paper, the source of weights and published figures.
    ``inputs`` is what the configuration is fed with unless a recipe says otherwise. ``mien.plugins`` says how models of
    other packages are found.

    Raises:
        UsageError: another model has the name.
    """

    def add(builder: B) -> B:
        name = builder.__name__
        enter(_builders, name, builder, "model")
        _inputs[name] = inputs
        return builder

    return add


def _load(wanted: str | None = None) -> None:
    """Make all models known, or those of mien alone where they hold the wanted one."""
    for module in ARCHITECTURES:
        import_module(module)
    if wanted not in _builders:
        load_plugins()


def list_models(pattern: str = "*") -> list[str]:
    """Registered names that match a shell pattern, sorted; empty where none does.

    Example:
        >>> mien.list_models("svfap_*")
        ['svfap_base', 'svfap_small', 'svfap_test']
    """
    _load()
    return sorted(name for name in _builders if fnmatchcase(name, pattern))


def _known(name: str) -> str:
    _load(name)
    if name not in _builders:
        raise UsageError(
            f"model {name!r} is not registered; {nearest(name, _builders, most=3)} (mien models lists all; "
            "the module that registers one of your own is imported first, or found by its entry point)"
        )
    return name


def create_encoder(name: str, **arguments: Any) -> Encoder:
    """Build a registered encoder; ``arguments`` go to its builder (frames, size, drop_path, ...)."""
    builder = _builders[_known(name)]
    try:
        return builder(**arguments)
    except TypeError as error:
        raise UsageError(f"model {name!r} cannot be built with {arguments}: {error}") from error


def default_inputs(name: str) -> Inputs:
    """How the registered configuration is fed unless a recipe says otherwise."""
    return _inputs[_known(name)]


def inputs_for(name: str, arguments: Mapping[str, Any]) -> Inputs:
    """How a registered configuration is fed with these arguments.

    ``streams`` (name → width) replaces its streams; ``video`` and ``sound`` that name another model (``{name: ...}``)
    are fed as that one is.
    """
    inputs = default_inputs(name)
    for modality in ("video", "sound"):
        part = arguments.get(modality)
        if isinstance(part, Mapping) and "name" in part:
            own = inputs_for(str(part["name"]), part.get("arguments", {}))
            inputs = inputs.model_copy(update={modality: getattr(own, modality)})
    streams = arguments.get("streams")
    if not isinstance(streams, Mapping) or not streams:
        return inputs
    steps = {stream.name: stream for stream in inputs.streams}
    first = inputs.streams[0] if inputs.streams else None
    new = tuple(
        steps.get(name_, StreamInput(name=name_, width=width, steps=first.steps if first else None)).model_copy(
            update={"width": int(width)}
        )
        for name_, width in streams.items()
    )
    return inputs.model_copy(update={"streams": new})


def describe(name: str) -> str:
    """Docstring of the registered configuration."""
    return inspect.getdoc(_builders[_known(name)]) or ""
