"""Pretraining → fine-tuning: everything carried, or said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mien.checkpoints.bundle import save
from mien.checkpoints.handover import hand_over, initialise_from
from mien.errors import MienError
from mien.models import Recogniser, create_encoder
from mien.models.specification import Specification, VideoInput
from mien.pretext import create_pretext


def test_a_pretext_hands_over_its_encoder_and_lists_the_rest() -> None:
    pretext = create_pretext("masked_autoencoder", "videomae_test", {}, VideoInput(stride=2))
    encoder = create_encoder("videomae_test")
    done = hand_over(pretext.state_dict(), encoder)
    assert done.new == ("norm.bias", "norm.weight")
    own = set(encoder.state_dict())
    assert set(done.carried) == own - set(done.new)
    assert {name.split(".")[0] for name in done.dropped} == {"bridge", "decoder", "encoder", "mask_token"}
    assert {name for name in done.dropped if name.startswith("encoder.")} == {
        "encoder.norm.bias",
        "encoder.norm.weight",
    }
    for name in done.carried:
        assert torch.equal(encoder.state_dict()[name], pretext.encoder.state_dict()[name])
    assert str(done) == f"{len(done.carried)} tensors carried, {len(done.dropped)} dropped, 2 new"


def test_a_recogniser_hands_over_its_norm_too(tmp_path: Path, model: Recogniser, specification: Specification) -> None:
    model.encoder.norm.bias.data += 1.0
    encoder = create_encoder("videomae_test", depth=1)
    done = initialise_from(save(model, specification, tmp_path / "bundle"), encoder)
    assert done.new == ()
    assert done.dropped == ("head.linear.bias", "head.linear.weight")
    assert torch.equal(encoder.norm.bias, model.encoder.norm.bias)


def test_an_encoder_bundle_counts_as_pretrained(tmp_path: Path, specification: Specification) -> None:
    source, encoder = (create_encoder("videomae_test", depth=1) for _ in range(2))
    source.norm.bias.data += 1.0
    bare = specification.model_copy(update={"task": None})
    done = initialise_from(save(source, bare, tmp_path / "bundle"), encoder)
    assert done.new == done.dropped == ("norm.bias", "norm.weight")
    assert not encoder.norm.bias.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 1}, "unknown blocks.1"),
        ({"depth": 3}, "missing blocks.2"),
        ({"dim": 32}, r"is \(64\) in the weights but \(32\)|is \(64,\) in the weights but \(32,\)"),
        ({"layer_scale": 0.1}, "missing blocks.0.attention_scale.weight"),
    ],
)
def test_weights_of_another_model_are_refused_and_change_nothing(arguments: dict, message: str) -> None:
    source, encoder = create_encoder("videomae_test"), create_encoder("videomae_test", **arguments)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(MienError, match=message):
        hand_over(source.state_dict(), encoder)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
