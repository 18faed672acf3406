"""VideoMAE beyond the published numbers (those are in tests/parity)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import MienError
from mien.models.videomae import VideoMAE, videomae_test
from mien.nn import grid_of


def tiny(**arguments: object) -> VideoMAE:
    torch.manual_seed(0)
    return VideoMAE(**{"frames": 4, "size": 32, "dim": 16, "depth": 2, "heads": 2} | arguments).eval()


@settings(max_examples=12)
@given(
    frames=st.sampled_from([2, 4, 10]),
    height=st.sampled_from([16, 48]),
    width=st.sampled_from([16, 32]),
    batch=st.integers(1, 2),
)
def test_any_length_and_size_that_tubelets_divide(frames: int, height: int, width: int, batch: int) -> None:
    features = tiny().forward_features({"video": torch.randn(batch, 3, frames, height, width)})
    assert features.pooled.shape == (batch, 16)
    assert features.tokens.shape == (batch, frames // 2 * (height // 16) * (width // 16), 16)
    assert features.frames.shape == (batch, frames, 16)


@pytest.mark.parametrize("arguments", [{"tubelet": 1}, {"patch": 8}, {"channels": 1}, {"tubelet": 4, "patch": 32}])
def test_tubelet_patch_and_colours_are_free(arguments: dict[str, int]) -> None:
    encoder = tiny(**arguments)
    features = encoder.forward_features({"video": torch.randn(1, arguments.get("channels", 3), 4, 32, 32)})
    assert features.frames.shape == (1, 4, 16)


def test_pooled_is_the_norm_of_the_mean_token() -> None:
    encoder = tiny()
    features = encoder.forward_features({"video": torch.randn(2, 3, 4, 32, 32)})
    torch.testing.assert_close(features.pooled, encoder.norm(features.tokens.mean(1)), rtol=1e-5, atol=1e-5)


def test_first_token_read_out_norms_before() -> None:
    encoder = tiny(pooling="first")
    features = encoder.forward_features({"video": torch.randn(2, 3, 4, 32, 32)})
    torch.testing.assert_close(features.pooled, encoder.norm(features.tokens)[:, 0])


def test_seeing_everything_is_the_plain_forward() -> None:
    encoder = tiny()
    video = torch.randn(2, 3, 4, 32, 32)
    visible = torch.arange(8).expand(2, -1)
    plain = encoder.norm(encoder.encode(encoder.embed(video), grid_of(video, encoder.tubelet)))
    torch.testing.assert_close(encoder.forward_visible(video, visible), plain)


def test_masked_tubelets_are_not_seen() -> None:
    encoder = tiny()
    video = torch.randn(1, 3, 4, 32, 32)
    visible = torch.tensor([[0, 4]])  # the upper left corner
    changed = video.clone()
    changed[..., 16:, :] += 5.0
    assert torch.equal(encoder.forward_visible(video, visible), encoder.forward_visible(changed, visible))


def test_layers_follow_the_blocks() -> None:
    encoder = tiny(positions="learned")
    assert encoder.layer_of("embedding.weight") == encoder.layer_of("positions.table") == 0
    assert encoder.layer_of("blocks.0.mlp.expand.bias") == 1
    assert encoder.layer_of("blocks.1.attention.qkv.weight") == 2
    assert encoder.layer_of("norm.weight") == 3
    assert encoder.no_weight_decay() == {"positions.table"}
    assert tiny().no_weight_decay() == set()


def test_learned_positions_train_and_are_for_one_size() -> None:
    encoder = tiny(positions="learned")
    encoder.forward_features({"video": torch.randn(1, 3, 4, 32, 32)}).pooled.square().sum().backward()
    assert encoder.positions.table.grad.any()
    with pytest.raises(MienError, match="learned positions"):
        encoder.forward_features({"video": torch.randn(1, 3, 8, 32, 32)})


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (torch.zeros(1, 1, 4, 32, 32), "3 colours"),
        (torch.zeros(1, 3, 3, 32, 32), "3 frames cannot be cut"),
        (torch.zeros(1, 3, 4, 40, 32), "40 rows cannot be cut"),
    ],
)
def test_video_that_does_not_fit_is_refused(video: torch.Tensor, message: str) -> None:
    with pytest.raises(MienError, match=message):
        tiny().forward_features({"video": video})


def test_without_video_it_says_what_is_there() -> None:
    with pytest.raises(MienError, match="needs video; the batch holds sound"):
        tiny().forward_features({"sound": torch.zeros(1, 10)})


def test_bfloat16_stays_close() -> None:
    encoder = videomae_test().eval()
    video = torch.randn(1, 3, 8, 64, 64)
    exact = encoder.forward_features({"video": video}).pooled
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder.forward_features({"video": video}).pooled
    assert (rough - exact).abs().max() < 0.1
    half = encoder.bfloat16().forward_features({"video": video.bfloat16()}).pooled
    assert (half.float() - exact).abs().max() < 0.2


@pytest.mark.slow
def test_compiles_in_one_graph() -> None:
    encoder = tiny()
    video = torch.randn(1, 3, 4, 32, 32)
    compiled = torch.compile(lambda clip: encoder.forward_features({"video": clip}).pooled, fullgraph=True)
    torch.testing.assert_close(compiled(video), encoder.forward_features({"video": video}).pooled, rtol=1e-4, atol=1e-5)
