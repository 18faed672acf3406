"""ViPER's Perceiver beside its parity: absent streams, order of steps, what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mien.errors import MienError, UsageError
from mien.models import create_encoder
from mien.models.registry import inputs_for
from mien.models.viper import PerceiverLayer


def streams(steps: int = 8) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(2, steps, width, generator=generator) for name, width in (("a", 8), ("b", 4))}


def encoder(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_encoder("viper_test", streams={"a": 8, "b": 4}, **options).eval()


@torch.inference_mode()
def pooled(model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    return model.forward_features(inputs).pooled


@pytest.mark.parametrize("embedded", [False, True])
def test_absent_by_key_and_by_mask_are_the_same(embedded: bool) -> None:
    model, inputs = encoder(modality_embedding=embedded), streams()
    masked = pooled(model, inputs | {"b_present": torch.zeros(2, dtype=torch.bool)})
    gone = pooled(model, {"a": inputs["a"]})
    zeros = pooled(model, inputs | {"b": torch.zeros(2, 8, 4)})
    torch.testing.assert_close(masked, gone)
    assert torch.allclose(gone, zeros) is not embedded
    assert not torch.allclose(gone, pooled(model, inputs))


def test_presence_is_per_clip_and_per_step() -> None:
    model, inputs = encoder(modality_embedding=True), streams()
    some = torch.ones(2, 8, dtype=torch.bool)
    some[0, 3:] = False
    with_mask, without = pooled(model, inputs | {"b_present": some}), pooled(model, inputs)
    assert not torch.allclose(with_mask[0], without[0])
    torch.testing.assert_close(with_mask[1], without[1])


def test_only_a_time_embedding_sees_the_order_of_steps() -> None:
    inputs = streams()
    turned = {name: x.flip(1) for name, x in inputs.items()}
    blind, sees = encoder(), encoder(time_embedding=True)
    torch.testing.assert_close(pooled(blind, inputs), pooled(blind, turned), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(pooled(sees, inputs), pooled(sees, turned), atol=1e-4)


def test_refusals() -> None:
    model, inputs = encoder(), streams()
    with pytest.raises(MienError, match="none of the streams a, b"):
        pooled(model, {"video": torch.zeros(1)})
    with pytest.raises(MienError, match="same number of steps"):
        pooled(model, inputs | {"b": inputs["b"][:, :3]})
    with pytest.raises(UsageError, match="heads do not divide"):
        create_encoder("viper_test", streams={"a": 7})


def test_named_streams_replace_the_registered_ones() -> None:
    told = inputs_for("viper_test", {"streams": {"visual": 64, "mfcc": 40}}).streams
    assert [(stream.name, stream.width, stream.steps) for stream in told] == [("visual", 64, 32), ("mfcc", 40, 32)]
    assert inputs_for("viper_va", {}).streams[0].width == 768


@torch.no_grad()
def test_dropout_takes_single_weights_of_attention_and_nothing_else() -> None:
    """Even weights over ten steps and values of one: what comes out counts those that were kept, doubled."""
    torch.manual_seed(0)
    layer, seen = PerceiverLayer(8, 2, 6, dropout=0.5).train(), []
    latents, context = torch.randn(3, 40, 8), torch.randn(3, 10, 6)
    layer.query.weight.zero_()
    layer.query.bias.zero_()
    layer.value.weight.zero_()
    layer.value.bias.fill_(1.0)
    layer.out.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    layer(latents, context)
    kept = seen[0].unflatten(-1, (2, 3)) / 0.2
    torch.testing.assert_close(kept, kept.round(), atol=1e-4, rtol=0)
    torch.testing.assert_close(kept, kept[..., :1].expand_as(kept))
    counts = kept[..., 0].round().flatten()
    assert set(counts.tolist()) >= {3.0, 4.0, 5.0, 6.0, 7.0}
    assert 4.5 < counts.mean() < 5.5
    assert not torch.equal(kept[..., 0, 0], kept[..., 1, 0]), "every head draws its own"
    layer.value.bias.zero_()
    torch.testing.assert_close(layer(latents, context), layer.eval()(latents, context), rtol=0, atol=0)
