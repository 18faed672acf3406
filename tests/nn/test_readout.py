"""Read-out over space and time, by hand."""

from __future__ import annotations

import torch

from mien.nn.readout import mean_over_space, slices_to_frames


def test_mean_over_space_keeps_time() -> None:
    tokens = torch.arange(8.0).reshape(1, 8, 1)
    assert mean_over_space(tokens, (2, 2, 2)).flatten().tolist() == [1.5, 5.5]


def test_slices_sit_at_the_middle_of_their_frames() -> None:
    slices = torch.tensor([0.0, 1.0]).reshape(1, 2, 1)
    assert slices_to_frames(slices, 2).flatten().tolist() == [0.0, 0.25, 0.75, 1.0]
    assert slices_to_frames(slices, 1) is slices
