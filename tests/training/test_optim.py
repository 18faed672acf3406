"""Parameter groups on a model small enough to write its groups by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.models.contract import Encoder, Recogniser
from mien.training.optim import parameter_groups


class TwoBlocks(Encoder):
    feature_dim, depth = 4, 2

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 4)
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.norm = nn.LayerNorm(4)

    def layer_of(self, name: str) -> int:
        if name.startswith("embed"):
            return 0
        return int(name.split(".")[1]) + 1 if name.startswith("blocks") else self.depth + 1

    def no_weight_decay(self) -> set[str]:
        return {"token"}


@pytest.fixture
def model() -> Recogniser:
    return Recogniser(TwoBlocks(), nn.Linear(4, 2))


def test_layer_wise_decay(model: Recogniser) -> None:
    groups = parameter_groups(model, weight_decay=0.05, layer_decay=0.5, lr=0.8)
    found = {name: (g["lr_scale"], g["weight_decay"], g["lr"]) for g in groups for name in g["names"]}
    assert found == {
        "encoder.token": (1.0, 0.0, 0.8),
        "encoder.embed.weight": (0.125, 0.05, 0.1),
        "encoder.embed.bias": (0.125, 0.0, 0.1),
        "encoder.blocks.0.weight": (0.25, 0.05, 0.2),
        "encoder.blocks.0.bias": (0.25, 0.0, 0.2),
        "encoder.blocks.1.weight": (0.5, 0.05, 0.4),
        "encoder.blocks.1.bias": (0.5, 0.0, 0.4),
        "encoder.norm.weight": (1.0, 0.0, 0.8),
        "encoder.norm.bias": (1.0, 0.0, 0.8),
        "head.weight": (1.0, 0.05, 0.8),
        "head.bias": (1.0, 0.0, 0.8),
    }
    assert [g["name"] for g in groups[:3]] == ["layer_3_no_decay", "layer_0_decay", "layer_0_no_decay"]


def test_without_layer_decay_there_are_two_groups_in_order_of_appearance(model: Recogniser) -> None:
    groups = parameter_groups(model, weight_decay=0.1)
    assert [(g["name"], g["weight_decay"], g["lr_scale"], len(g["params"])) for g in groups] == [
        ("no_decay", 0.0, 1.0, 7),
        ("decay", 0.1, 1.0, 4),
    ]
    torch.optim.AdamW(groups, lr=1e-3)  # every parameter once, or torch refuses


def test_frozen_parameters_are_left_out(model: Recogniser) -> None:
    model.encoder.requires_grad_(False)
    names = [name for g in parameter_groups(model, 0.1, 0.5) for name in g["names"]]
    assert names == ["head.weight", "head.bias"]


def test_any_module_is_grouped() -> None:
    groups = parameter_groups(nn.Linear(2, 2), weight_decay=0.3)
    assert [(g["names"], g["weight_decay"]) for g in groups] == [(["weight"], 0.3), (["bias"], 0.0)]


def test_everything_is_decayed_where_asked() -> None:
    groups = parameter_groups(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), weight_decay=0.01, decay_all=True)
    assert [group["weight_decay"] for group in groups] == [0.01]
    assert sum(len(group["params"]) for group in groups) == 4
