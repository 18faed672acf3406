"""Positions against values of the published table and the written-out formula."""

from __future__ import annotations

import math

import pytest
import torch

from mien.errors import MienError
from mien.nn import LearnedPositions, SinusoidPositions, sinusoid_table


def test_published_rows_of_the_800_by_512_table() -> None:
    table = sinusoid_table(800, 512)
    first = [
        0.8414709568,
        0.5403022766,
        0.8218562007,
        0.5696949959,
        0.8019617796,
        0.5973753333,
        0.7818871140,
        0.6234200597,
    ]
    last = [0.0857557058, 0.9963161945, 0.0827322975, 0.9965717793]
    assert table[1, :8].tolist() == pytest.approx(first, abs=1e-7)
    assert table[799, -4:].tolist() == pytest.approx(last, abs=1e-7)
    assert table.dtype == torch.float32


def test_formula_by_hand() -> None:
    table = sinusoid_table(4, 6)
    angle = 3 / 10000 ** (4 / 6)
    assert table[3, 4:].tolist() == pytest.approx([math.sin(angle), math.cos(angle)])


def test_longer_sequences_extend_the_table_and_the_state_dict_stays_empty() -> None:
    positions = SinusoidPositions(5, 8)
    assert torch.equal(positions(3)[0], sinusoid_table(3, 8))
    assert torch.equal(positions(9)[0], sinusoid_table(9, 8))
    assert not positions.state_dict()


def test_learned_positions_are_for_one_length() -> None:
    positions = LearnedPositions(5, 8)
    assert positions(5).shape == (1, 5, 8)
    with pytest.raises(MienError, match="6 tokens do not fit learned positions for 5"):
        positions(6)
