"""Published architectures and their registry. Names are loaded when first used: the specification needs no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Encoder": "mien.models.contract",
    "Features": "mien.models.contract",
    "ModelInputs": "mien.models.contract",
    "Recogniser": "mien.models.contract",
    "create_encoder": "mien.models.registry",
    "default_inputs": "mien.models.registry",
    "describe": "mien.models.registry",
    "list_models": "mien.models.registry",
    "register_model": "mien.models.registry",
}

__all__ = [
    "Encoder",
    "Features",
    "ModelInputs",
    "Recogniser",
    "create_encoder",
    "default_inputs",
    "describe",
    "list_models",
    "register_model",
]

if TYPE_CHECKING:
    from mien.models.contract import Encoder, Features, ModelInputs, Recogniser
    from mien.models.registry import create_encoder, default_inputs, describe, list_models, register_model


if not TYPE_CHECKING:  # checkers shall know names that are not there

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'mien.models' has no attribute {name!r}")
        return getattr(import_module(_PUBLIC[name]), name)
