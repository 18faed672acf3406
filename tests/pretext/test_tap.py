"""What a projector sees of an encoder, and BYOL on it."""

from __future__ import annotations

import pytest
import torch

from mien.errors import UsageError
from mien.models import create_encoder
from mien.models.specification import VideoInput
from mien.pretext import create_pretext
from mien.pretext.tap import tap, width

VIDEO = VideoInput(frames=4, fps=5.0, size=32, channels="grey", mean=(0.0,), std=(1.0,))
SMALL = {"widths": [4, 4, 6, 8]}
OPTIONS = {"projection": 4, "hidden": 8}


@pytest.mark.parametrize("layer", ["pooled", "frames", "stages.1", "stem.0"])
def test_rows_are_what_the_layer_gives(layer: str) -> None:
    encoder = create_encoder("vaerr_test", **SMALL).eval()
    clips = torch.rand(2, 1, 4, 32, 32)
    rows = tap(encoder, clips, layer)
    made = encoder.stem(clips)
    features = encoder.forward_features({"video": clips})
    expected = {
        "pooled": features.pooled,
        "frames": features.frames.reshape(8, 8),
        "stages.1": encoder.stages[1](encoder.stages[0](made.transpose(1, 2).reshape(8, 4, 8, 8))).reshape(8, -1),
        "stem.0": encoder.stem[0](clips).reshape(2, -1),
    }
    torch.testing.assert_close(rows, expected[layer])
    assert width(encoder, layer, VIDEO) == rows.shape[1]


@pytest.mark.parametrize("joint", [False, True])
def test_every_frame_meets_the_same_frame_of_the_other_view(joint: bool) -> None:
    """Views that are one and the same, a teacher that is the student: each frame's own target is what is met."""
    torch.manual_seed(0)
    pretext = create_pretext("byol", "vaerr_test", SMALL, VIDEO, OPTIONS | {"layer": "frames", "joint": joint}).train()
    assert pretext.teacher.layer == "frames"
    views = torch.rand(3, 1, 1, 4, 32, 32).expand(3, 2, 1, 4, 32, 32)
    with torch.no_grad():
        loss, _ = pretext.loss({"views": views})
        targets = pretext.target(views[:, 0])
        answers = pretext.predictor(targets)
        cosines = torch.nn.functional.cosine_similarity(answers, targets)
    assert len(targets) == 3 * 4
    torch.testing.assert_close(loss, 2 * (2 - 2 * cosines).mean(), rtol=1e-4, atol=1e-5)


def test_a_module_is_sized_and_learned_from() -> None:
    pretext = create_pretext("byol", "vaerr_test", SMALL, VIDEO, OPTIONS | {"layer": "stages.1"}).train()
    loss, _ = pretext.loss({"views": torch.rand(2, 2, 1, 4, 32, 32)})
    loss.backward()
    learned = {
        name.split(".")[1] for name, p in pretext.encoder.stages.named_parameters(prefix="s") if p.grad is not None
    }
    assert learned == {"0", "1"}


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(
        UsageError, match=r"pretext.options.layer='trunk' is not known; take pooled, frames, or a module: stem"
    ):
        create_pretext("byol", "vaerr_test", SMALL, VIDEO, OPTIONS | {"layer": "trunk"})
