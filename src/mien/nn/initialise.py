"""Start values that several models share."""

from __future__ import annotations

from torch import nn


def truncated_normal_linears(module: nn.Module) -> None:
    """Every linear layer inside: weight normal with std 0.02 (cut at ±2), bias 0. The ViT recipe for fine-tuning."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def xavier_linears(module: nn.Module) -> None:
    """Every linear layer inside: weight Xavier-uniform, bias 0. The recipe for masked pretraining."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
