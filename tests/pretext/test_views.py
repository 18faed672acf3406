"""Views of a clip: their shapes, what they share and what differs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.data.settings import AugmentationSettings
from mien.errors import UsageError
from mien.media.clip import Clip
from mien.models import create_encoder
from mien.models.specification import Inputs, VideoInput
from mien.pretext.views import ViewKind, Views

NO_AUGMENTATION = AugmentationSettings(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0)
INPUTS = Inputs(video=VideoInput(frames=8, fps=25.0, size=32, channels="grey", mean=(0.0,), std=(1.0,)))


def clip() -> Clip:
    """Every frame is as bright as its number."""
    frames = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None, None] * 20, (8, 40, 40, 3))
    return Clip(np.ascontiguousarray(frames), np.arange(8) / 25)


def test_kinds_have_their_own_shapes() -> None:
    views = Views(
        INPUTS, AugmentationSettings(), (ViewKind("views", ({}, {})), ViewKind("small_views", ({},) * 3, 16, 4))
    )
    made = views(clip(), np.random.default_rng(0))
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == {
        "views": (2, 1, 8, 32, 32),
        "small_views": (3, 1, 4, 16, 16),
    }


def test_short_views_are_consecutive_frames_from_anywhere() -> None:
    views = Views(INPUTS, NO_AUGMENTATION, (ViewKind("views", ({},) * 40, None, 3),))
    made = views(clip(), np.random.default_rng(0))["views"]
    numbers = (made.mean(dim=(1, 3, 4)) * 255 / 20).round()
    assert torch.equal(numbers.diff(dim=1), torch.ones(40, 2))
    assert set(numbers[:, 0].tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


def test_equal_generators_make_equal_views_and_a_view_differs_from_the_next() -> None:
    views = Views(INPUTS, AugmentationSettings(brightness=0.4, blur=1.0), (ViewKind("views", ({}, {"flip": 1.0})),))
    first, again = (views(clip(), np.random.default_rng(1))["views"] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UsageError, match=r"brigthness"):
        Views(INPUTS, AugmentationSettings(), (ViewKind("views", ({"brigthness": 1},)),))
    with pytest.raises(UsageError, match="view of 9 frames does not fit clips of 8"):
        Views(INPUTS, NO_AUGMENTATION, (ViewKind("views", ({},), None, 9),))(clip(), np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"set data\.sampling\.frames"):
        Views(Inputs(video=INPUTS.video.model_copy(update={"frames": None})), NO_AUGMENTATION, ())
    with pytest.raises(UsageError, match="do not fit tokens of 16"):
        ViewKind("views", ({},), 40).check(create_encoder("videomae_test"))
