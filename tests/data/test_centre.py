"""Pictures centred on the clip's own mean."""

from __future__ import annotations

import numpy as np
import torch

from mien.data.inputs import to_tensors
from mien.media.clip import Clip
from mien.models.specification import Inputs, VideoInput


def test_only_what_changes_is_left() -> None:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 200, (1, 32, 32, 3), dtype=np.uint8).repeat(4, axis=0)
    moving = still.copy()
    moving[2, 5, 7, 1] += 40
    video = VideoInput(frames=4, stride=1, size=32, centre="clip", std=(0.1, 0.1, 0.1))
    unchanged, changed = (
        to_tensors(Clip(frames, np.arange(4) / 25), Inputs(video=video))["video"] for frames in (still, moving)
    )
    assert torch.all(unchanged.abs() < 1e-5)
    expected = torch.zeros_like(changed)
    expected[1, :, 5, 7] = torch.tensor([-10.0, -10.0, 30.0, -10.0]) / 255 / 0.1
    torch.testing.assert_close(changed, expected, atol=1e-5, rtol=0)
