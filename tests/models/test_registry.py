"""Every registered family keeps the contract; seen at its test size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mien.errors import MienError, UsageError
from mien.models import create_encoder, default_inputs, describe, list_models
from mien.models.contract import Encoder
from mien.nn.initialise import SkipInitialisation

TEST_SIZES = [name for name in list_models("*_test") if default_inputs(name).video and not default_inputs(name).streams]


def clips(name: str, batch: int = 2) -> dict[str, Tensor]:
    video = default_inputs(name).video
    assert video is not None
    channels = 1 if video.channels == "grey" else 3
    generator = torch.Generator().manual_seed(0)
    return {"video": torch.randn(batch, channels, video.frames or 6, video.size, video.size, generator=generator)}


@pytest.fixture(params=TEST_SIZES)
def named(request: pytest.FixtureRequest) -> tuple[str, Encoder]:
    torch.manual_seed(0)
    return request.param, create_encoder(request.param).eval()


def test_features_keep_the_contract(named: tuple[str, Encoder]) -> None:
    name, encoder = named
    features = encoder.forward_features(clips(name))
    assert features.pooled.shape == (2, encoder.feature_dim)
    assert features.pooled.isfinite().all()
    if features.tokens is not None:
        assert features.tokens.shape[0] == 2
        assert features.tokens.shape[2] == encoder.feature_dim
    if features.frames is not None:
        assert features.frames.shape[::2] == (2, encoder.feature_dim)


def test_clips_of_a_batch_do_not_mix(named: tuple[str, Encoder]) -> None:
    name, encoder = named
    batch = clips(name)
    together = encoder.forward_features(batch).pooled
    alone = encoder.forward_features({"video": batch["video"][1:]}).pooled
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)


def test_every_parameter_has_a_layer_and_learns(named: tuple[str, Encoder]) -> None:
    name, encoder = named
    layers = {encoder.layer_of(parameter) for parameter, _ in encoder.named_parameters()}
    assert layers <= set(range(encoder.depth + 2))
    assert encoder.no_weight_decay() <= {parameter for parameter, _ in encoder.named_parameters()}
    features = encoder.train().forward_features(clips(name))
    (features.pooled.square().sum() + (0 if features.frames is None else features.frames.square().sum())).backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


def test_skipping_initialisation_changes_no_buffer_or_shape(named: tuple[str, Encoder]) -> None:
    name, encoder = named
    with SkipInitialisation():
        empty = create_encoder(name)
    empty.load_state_dict(encoder.state_dict())
    batch = clips(name)
    assert torch.equal(empty.eval().forward_features(batch).pooled, encoder.forward_features(batch).pooled)


def test_missing_picture_is_one_clear_line(named: tuple[str, Encoder]) -> None:
    with pytest.raises(MienError):
        named[1].forward_features({})


@pytest.mark.parametrize("name", list_models())
def test_every_name_says_what_it_is(name: str) -> None:
    assert len(describe(name)) > 20
    assert default_inputs(name)


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="videomae_base"):
        create_encoder("videomae_bsae")


def test_unknown_argument_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"videomae_test.*colour"):
        create_encoder("videomae_test", colour="red")


def test_patterns() -> None:
    assert list_models("videomae_*") == [f"videomae_{size}" for size in ("base", "huge", "large", "small", "test")]
    assert list_models("nothing*") == []
