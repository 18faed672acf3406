"""The two-way table of names."""

from __future__ import annotations

import pytest
import torch

from mien.checkpoints.convert.base import get_converter, systems
from mien.checkpoints.convert.renaming import Renaming
from mien.errors import MienError, UsageError

TABLE = Renaming(
    [
        ("blocks.{i}.norm1.{leaf}", "layers.{i}.before.{leaf}"),
        ("stem.{rest}", "start.{rest}"),
        ("norm.{leaf}", "end.norm.{leaf}"),
    ]
)
PAIRS = [
    ("blocks.11.norm1.weight", "layers.11.before.weight"),
    ("stem.0.conv.bias", "start.0.conv.bias"),
    ("norm.bias", "end.norm.bias"),
]


@pytest.mark.parametrize(("published", "ours"), PAIRS)
def test_names_go_both_ways(published: str, ours: str) -> None:
    assert TABLE.to_mien(published) == ours
    assert TABLE.to_published(ours) == published


@pytest.mark.parametrize("name", ["blocks.1.norm2.weight", "xnorm.bias", "norm.a.b", "blocks.1x.y.norm1.weight"])
def test_only_whole_names_match(name: str) -> None:
    assert TABLE.to_mien(name) is None


def test_unknown_tensors_are_named() -> None:
    state = {"norm.bias": torch.zeros(1), "strange": torch.zeros(1)}
    with pytest.raises(MienError, match="tensors that toy does not have: strange"):
        TABLE.state_to_mien(state, "toy")
    with pytest.raises(MienError, match=r"without a published name in toy: norm\.bias, strange"):
        TABLE.state_to_published(state, "toy")


def test_two_tensors_cannot_become_one() -> None:
    table = Renaming([("a", "c"), ("b", "c")])
    with pytest.raises(MienError, match="both be called c"):
        table.state_to_mien({"a": torch.zeros(1), "b": torch.zeros(1)}, "toy")


def test_every_system_has_a_converter_of_its_name() -> None:
    assert "videomae" in systems()
    for system in systems():
        assert get_converter(system).system == system
    with pytest.raises(UsageError, match="videomae"):
        get_converter("videmae")
