"""Self-supervised objectives around an encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mien.errors import UsageError, nearest
from mien.models.specification import VideoInput
from mien.plugins import enter, load_plugins
from mien.pretext.byol import byol
from mien.pretext.contract import ClipExtras, Moment, Pretext
from mien.pretext.dino import dino
from mien.pretext.lira import lira
from mien.pretext.masked_builder import masked_autoencoder

__all__ = ["PRETEXTS", "ClipExtras", "Moment", "Pretext", "create_pretext", "register_pretext"]

# kind → builder(model, arguments, video, **options)
PRETEXTS: dict[str, Callable[..., Pretext]] = {
    "masked_autoencoder": masked_autoencoder,
    "byol": byol,
    "dino": dino,
    "lira": lira,
}


B = TypeVar("B", bound=Callable[..., Pretext])


def register_pretext(builder: B) -> B:
    """Register a builder of pretexts under its function name, which is the kind; a decorator.

    It is called as ``builder(model, arguments, video, **options)``. ``mien.plugins`` says how pretexts of other
    packages are found.

    Raises:
        UsageError: another pretext has the name.
    """
    enter(PRETEXTS, builder.__name__, builder, "pretext")
    return builder


def create_pretext(
    kind: str, model: str, arguments: Mapping[str, Any], video: VideoInput, options: Mapping[str, Any] | None = None
) -> Pretext:
    """Build a pretext by its kind; ``options`` are the keyword arguments of its builder in ``PRETEXTS``."""
    if kind not in PRETEXTS:
        load_plugins()
    if kind not in PRETEXTS:
        raise UsageError(f"pretext {kind!r} is not known; {nearest(kind, PRETEXTS)}")
    try:
        return PRETEXTS[kind](model, arguments, video, **(options or {}))
    except TypeError as error:
        raise UsageError(f"pretext {kind!r} cannot be built with {dict(options or {})}: {error}") from error
