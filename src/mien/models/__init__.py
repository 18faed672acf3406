"""Published architectures and their registry."""

from __future__ import annotations

from mien.models.contract import Encoder, Features, ModelInputs, Recogniser
from mien.models.registry import create_encoder, default_inputs, describe, list_models, register_model

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
