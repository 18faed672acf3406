"""Layers that two or more models share."""

from __future__ import annotations

from mien.nn.attention import CrossAttention, SelfAttention
from mien.nn.block import Block, LayerScale, Mlp, layer_scale_or_identity
from mien.nn.drop_path import DropPath, drop_path_rates
from mien.nn.patches import Size3, TubeletEmbedding, from_patches, grid_of, take_tokens, to_patches
from mien.nn.positions import LearnedPositions, SinusoidPositions, sinusoid_table

__all__ = [
    "Block",
    "CrossAttention",
    "DropPath",
    "LayerScale",
    "LearnedPositions",
    "Mlp",
    "SelfAttention",
    "SinusoidPositions",
    "Size3",
    "TubeletEmbedding",
    "drop_path_rates",
    "from_patches",
    "grid_of",
    "layer_scale_or_identity",
    "sinusoid_table",
    "take_tokens",
    "to_patches",
]
