"""SVFAP, MAE-DFER and the motion branch: shapes at other sizes, visible tokens alone, features over time, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.errors import MienError
from mien.models import create_encoder
from mien.models.motion import motion_picture
from mien.models.svfap import SVFAP, SpatialBottleneck, TemporalReduction
from mien.models.tubelet import TubeletEncoder
from mien.pretext.masking import region_tube_mask, split_mask, tube_mask

SIZES = {
    "svfap_base": (77_635_351, 7),
    "svfap_small": (29_678_615, 7),
    "maedfer_base": (84_878_343, 7),
    "maedfer_ca_add": (114_324_610 - 702_471, 7),
    "maedfer_ca_add_4x5x10": (114_322_562 - 702_471, 7),
    "maedfer_ca_add_pos": (118_588_040 - 702_471 - 512 - 5 * 513 - 513, 7),
    "maedfer_ca_cat": (114_328_194 - 702_471, 7),
}


@pytest.mark.parametrize("name", SIZES)
def test_published_sizes(name: str) -> None:
    """Parameters of the papers and logs; published checkpoints of the motion branch also hold tensors never used."""
    with torch.device("meta"):
        encoder = create_encoder(name)
    count, classes = SIZES[name]
    assert sum(p.numel() for p in encoder.parameters()) + classes * (encoder.feature_dim + 1) == count


def clip(frames: int = 8, size: int = 64, seed: int = 0, clips: int = 2) -> Tensor:
    return torch.randn(clips, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments", "frames", "size"),
    [
        ("svfap_test", {}, 8, 64),
        ("svfap_test", {}, 16, 64),
        ("svfap_test", {}, 8, 96),
        ("svfap_test", {"depths": (2,)}, 6, 32),
        ("svfap_test", {"depths": (1, 1), "temporal_kernel": 3}, 6, 48),
        ("maedfer_test", {}, 8, 64),
        ("maedfer_test", {"frames": 16}, 16, 64),
        ("maedfer_test", {"size": 96, "region": (4, 3, 2)}, 8, 96),
        ("maedfer_test", {"readout": "original"}, 8, 64),
        ("maedfer_test", {"readout": "all", "first": "cross", "third": "self"}, 8, 64),
        ("maedfer_ca_test", {}, 8, 64),
    ],
)
def test_other_lengths_and_sizes(name: str, arguments: dict[str, Any], frames: int, size: int) -> None:
    encoder = create_encoder(name, **arguments).eval()
    features = encoder.forward_features({"video": clip(frames, size)})
    assert features.pooled.shape == (2, encoder.feature_dim)
    assert features.frames is not None
    assert features.frames.shape == (2, frames, encoder.feature_dim)
    assert features.frames.isfinite().all()


def visible_of(encoder: TubeletEncoder, ratio: float, seed: int = 0) -> dict[str, Tensor]:
    rng, grid = np.random.RandomState(seed), (4, 4, 4)
    region = getattr(encoder, "region", None)
    draws = [
        tube_mask(rng, grid, ratio) if region is None else region_tube_mask(rng, grid, ratio, region[1:])
        for _ in range(2)
    ]
    split = [split_mask(mask) for mask in draws]
    return {name: torch.stack([s[name] for s in split]) for name in ("visible", "masked")}


def hide(video: Tensor, masked: Tensor) -> Tensor:
    """The video with every masked tubelet of 2x16x16 replaced by other noise."""
    other = clip(seed=9)
    shown = torch.ones(len(video), 4 * 4 * 4)
    shown.scatter_(1, masked, 0.0)
    spread = shown.reshape(-1, 1, 4, 4, 4).repeat_interleave(2, 2).repeat_interleave(16, 3).repeat_interleave(16, 4)
    return torch.where(spread > 0, video, other)


@torch.no_grad()
@pytest.mark.parametrize(("name", "ratio"), [("svfap_test", 0.75), ("maedfer_test", 0.5), ("videomae_test", 0.75)])
def test_masked_pixels_do_not_leak(name: str, ratio: float) -> None:
    torch.manual_seed(0)
    encoder = create_encoder(name).eval()
    parts = visible_of(encoder, ratio)
    video = clip()
    hidden = hide(video, parts["masked"])
    assert not torch.equal(video, hidden)
    seen = encoder.forward_visible(video, parts["visible"])
    assert torch.equal(seen, encoder.forward_visible(hidden, parts["visible"]))
    assert seen.shape == (2, parts["visible"].shape[1], encoder.feature_dim)


@torch.no_grad()
def test_the_released_forward_leaks_and_leaves_bottlenecks_idle() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("svfap_test", pretraining="released").eval()
    parts = visible_of(encoder, 0.75)
    video = clip()
    seen = encoder.forward_visible(video, parts["visible"])
    assert not torch.allclose(seen, encoder.forward_visible(hide(video, parts["masked"]), parts["visible"]))
    for gather in encoder.bottlenecks:
        gather.score[2].weight.add_(1.0)
    assert torch.equal(seen, encoder.forward_visible(video, parts["visible"]))


def test_every_parameter_learns_in_corrected_pretraining() -> None:
    """Only the last bias of the bottleneck scores may not: the softmax cancels a constant."""
    torch.manual_seed(0)
    encoder = create_encoder("svfap_test")
    parts = visible_of(encoder, 0.75)
    seen = encoder.forward_visible(clip(), parts["visible"])
    (seen * torch.randn(seen.shape)).sum().backward()
    idle = {n for n, p in encoder.named_parameters() if p.grad is None}
    assert idle == set()
    still = {n for n, p in encoder.named_parameters() if not p.grad.any()}
    assert all(name.startswith("bottlenecks.") and name.endswith("score.2.bias") for name in still), still


@torch.no_grad()
def test_region_order_is_mended_for_visible_tokens() -> None:
    """The corrected order is that of the visible indices; the released one swaps places, the tokens are the same."""
    torch.manual_seed(0)
    mended = create_encoder("maedfer_test").eval()
    released = create_encoder("maedfer_test", order="released").eval()
    released.load_state_dict(mended.state_dict())
    visible = visible_of(mended, 0.5)["visible"]
    right, swapped = (e.forward_visible(clip(), visible) for e in (mended, released))
    assert not torch.equal(right, swapped)
    assert torch.equal(right.sum(-1).sort().values, swapped.sum(-1).sort().values)


@torch.no_grad()
def test_frames_follow_time_in_corrected_order() -> None:
    """With one region in depth per slice pair, a change in the last frames moves the last features most."""
    torch.manual_seed(0)
    encoder = create_encoder("maedfer_test", readout="original", second=False, third="none").eval()
    video, other = clip(), clip()
    other[:, :, 4:] = clip(seed=5)[:, :, 4:]
    change = encoder.forward_features({"video": other}).frames - encoder.forward_features({"video": video}).frames
    moved = change.abs().amax(-1)[0] > 0
    assert not moved[:3].any()
    assert moved[5:].all()


@torch.no_grad()
def test_reduction_and_bottleneck_by_hand() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, 5, 3, 8)
    reduce = TemporalReduction(8, 2)
    expected = (
        torch.nn.functional.conv1d(tokens.permute(0, 2, 3, 1).flatten(0, 1), reduce.weight, reduce.bias, stride=2)
        .unflatten(0, (2, 3))
        .permute(0, 3, 1, 2)
    )
    torch.testing.assert_close(reduce(tokens), expected)
    gather = SpatialBottleneck(8, 4, 1e-6)
    gathered = gather(tokens)
    assert gathered.shape == (2, 5, 4, 8)
    low, high = tokens.amin(2, keepdim=True), tokens.amax(2, keepdim=True)
    assert ((gathered >= low - 1e-5) & (gathered <= high + 1e-5)).all()  # weighted means of the places


@pytest.mark.parametrize(
    ("name", "arguments", "frames", "message"),
    [
        ("svfap_test", {"frames": 2}, 2, "too short for 3 stages"),
        ("maedfer_test", {}, 16, "regions"),
        ("svfap_test", {}, 7, "multiple of 2"),
    ],
)
def test_clips_that_do_not_fit_are_refused(name: str, arguments: dict, frames: int, message: str) -> None:
    with pytest.raises(MienError, match=message):
        create_encoder(name, **arguments).forward_features({"video": clip(frames)})


def test_masks_that_do_not_fit_are_refused() -> None:
    odd = torch.arange(7)[None].expand(2, -1)
    for name in ("svfap_test", "maedfer_test"):
        with pytest.raises(MienError, match="visible tokens"):
            create_encoder(name).forward_visible(clip(), odd)
    released = create_encoder("svfap_test", pretraining="released")
    assert isinstance(released, SVFAP)
    uneven = split_mask(tube_mask(np.random.RandomState(0), (4, 4, 4), 0.82))["visible"][None].expand(2, -1)
    with pytest.raises(MienError, match="released forward cannot align"):
        released.forward_visible(clip(), uneven)


@torch.no_grad()
def test_a_still_clip_has_no_motion_and_the_branch_joins_as_asked() -> None:
    torch.manual_seed(0)
    video = clip()[:, :, :1].expand(-1, -1, 8, -1, -1)
    assert motion_picture(video).abs().max() < 1e-6
    moving = torch.zeros(1, 3, 4, 2, 2)
    moving[:, :, 2] = 4.0
    assert torch.equal(motion_picture(moving), torch.ones(1, 3, 2, 2))
    encoder = create_encoder("maedfer_ca_test").eval()
    joined = encoder.forward_features({"video": clip()})
    plain = encoder.encoder.forward_features({"video": clip()})
    branch = encoder.motion(clip())
    assert (branch >= 0).all()
    torch.testing.assert_close(joined.pooled, plain.pooled + branch)
    assert torch.equal(joined.frames, plain.frames)
    encoder.join = "cat"
    torch.testing.assert_close(
        encoder.forward_features({"video": clip()}).pooled, torch.cat((plain.pooled, branch), dim=1)
    )


def test_layers_of_the_branch_are_the_last() -> None:
    encoder = create_encoder("maedfer_ca_test")
    assert encoder.layer_of("encoder.embedding.weight") == 0
    assert encoder.layer_of("encoder.blocks.1.mlp.expand.weight") == 2
    assert {encoder.layer_of(n) for n, _ in encoder.named_parameters() if n.startswith("motion.")} == {3}
    assert encoder.no_weight_decay() == {"encoder.region_tokens"}
    with pytest.raises(MienError, match="needs video"):
        encoder.forward_features({"sound": torch.zeros(1, 8)})
