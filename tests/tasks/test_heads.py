"""Heads: shapes, initial scale, and where per-frame outputs sit in time."""

from __future__ import annotations

import pytest
import torch

from mien.errors import UsageError
from mien.models.contract import Features
from mien.tasks.heads import ClipHead, FrameHead, to_frames


def test_clip_head_reads_the_pooled_feature() -> None:
    head = ClipHead(8, 3)
    pooled = torch.randn(2, 8)
    assert torch.equal(head(Features(pooled), {}), pooled @ head.linear.weight.T + head.linear.bias)


def test_init_scale_shrinks_the_first_outputs() -> None:
    torch.manual_seed(0)
    plain = ClipHead(64, 5).linear
    torch.manual_seed(0)
    small = ClipHead(64, 5, init_scale=0.001).linear
    torch.testing.assert_close(small.weight, plain.weight * 0.001)
    assert 0.01 < plain.weight.std().item() < 0.03
    assert not small.bias.any()


def test_frame_outputs_lie_on_the_frames_of_the_picture() -> None:
    """8 steps of 2 frames; a ramp over the steps' centres must be a ramp over the frames, held at both ends."""
    head = FrameHead(1, 1)
    head.linear.weight.data.fill_(1.0)
    centres = (torch.arange(8) * 2 + 0.5)[None, :, None]
    frames = head(Features(torch.zeros(1, 1), frames=centres), {"video": torch.zeros(1, 3, 16, 4, 4)})
    expected = torch.arange(16.0).clamp(0.5, 14.5)
    torch.testing.assert_close(frames[0, :, 0], expected)


def test_without_pictures_the_steps_stay() -> None:
    outputs = FrameHead(4, 2)(Features(torch.zeros(1, 4), frames=torch.randn(1, 7, 4)), {"sound": torch.zeros(1, 100)})
    assert outputs.shape == (1, 7, 2)


def test_equal_lengths_are_untouched() -> None:
    outputs = torch.randn(2, 9, 3)
    assert to_frames(outputs, 9) is outputs


def test_an_encoder_without_time_is_refused() -> None:
    with pytest.raises(UsageError, match="no features over time"):
        FrameHead(4, 2)(Features(torch.zeros(1, 4)), {})
