"""Finishing a batch at once, as GPUs do, against finishing it clip by clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.data import finish as room
from mien.data.finish import COLOUR, PLACES, Colour, Hole, Left, finish
from mien.models.specification import VideoInput

FED = {
    "rgb": VideoInput(size=16, stride=1, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3)),
    "bgr": VideoInput(size=16, stride=1, channels="bgr", mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3)),
    "grey": VideoInput(size=16, stride=1, channels="grey", mean=(0.4,), std=(0.2,)),
    "centred": VideoInput(size=16, stride=1, centre="clip", std=(0.2, 0.25, 0.3)),
}
LEFTS = (
    Left(),
    Left(mirrored=True, colour=Colour(0.7, 0.4, -0.1), hole=Hole((1, 2, 4, 3), 11)),
    Left(colour=Colour(0.0, 1.3, 0.2)),
    Left(shown=False),
    Left(mirrored=True),
)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("name", FED)
@pytest.mark.parametrize("lefts", [LEFTS, (LEFTS[0], LEFTS[4])], ids=["colour", "plain"])
def test_all_clips_at_once_are_the_clips_one_by_one(name: str, colours: int, lefts: tuple[Left, ...]) -> None:
    shape = (len(lefts), colours, 4, 16, 16)
    clips = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    told = [left.tensors() for left in lefts]
    batch = {"video": clips, **{key: torch.stack([one[key] for one in told]) for key in (COLOUR, PLACES)}}
    expected = finish(batch, FED[name], "cpu")["video"]
    found = room._all_at_once(clips, batch, lefts, FED[name])
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    assert found.is_contiguous()
