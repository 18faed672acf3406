"""The masked autoencoder: what it may see, what it learns, what it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.data.manifest import Row
from mien.errors import MienError, UsageError
from mien.models.specification import VideoInput
from mien.pretext import create_pretext
from mien.pretext.gallery import gallery, save_gallery
from mien.pretext.masked_autoencoder import MaskedAutoencoder

VIDEO = VideoInput(stride=2, size=64, frames=8)

ROW = Row("clip", Path("clip.mp4"))
FAMILY = ["videomae_test", "svfap_test", "maedfer_test"]


def autoencoder(model: str = "videomae_test", **options: object) -> MaskedAutoencoder:
    torch.manual_seed(0)
    pretext = create_pretext("masked_autoencoder", model, {}, VIDEO, {"mask_ratio": 0.75, **options})
    assert isinstance(pretext, MaskedAutoencoder)
    return pretext


def batch_for(pretext: MaskedAutoencoder, clips: int = 2) -> dict[str, Tensor]:
    rng = np.random.default_rng(0)
    items = []
    for index in range(clips):
        item = {"video": torch.randn(3, 8, 64, 64, generator=torch.Generator().manual_seed(index))}
        items.append(item | pretext.extras(rng, item, ROW))
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


@pytest.mark.parametrize("model", FAMILY)
def test_predicts_every_masked_tubelet_and_nothing_else(model: str) -> None:
    pretext = autoencoder(model)
    batch = batch_for(pretext)
    predictions = pretext(batch)
    assert predictions.shape == (2, batch["masked"].shape[1], 2 * 16 * 16 * 3)
    loss, _ = pretext.loss(batch)
    target = pretext.target(batch["video"], batch["masked"], pretext.encoder.tubelet)
    assert loss.item() == pytest.approx((predictions - target).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("model", FAMILY)
def test_masked_pixels_do_not_leak_into_predictions(model: str) -> None:
    pretext = autoencoder(model).eval()
    batch = batch_for(pretext)
    before = pretext(batch)
    masked = torch.zeros(2, 64, dtype=torch.bool).scatter(1, batch["masked"], True)  # 4·4·4 tokens
    places = masked.reshape(2, 1, 4, 4, 4)
    hidden = places.repeat_interleave(2, 2).repeat_interleave(16, 3).repeat_interleave(16, 4)
    changed = torch.where(hidden, batch["video"] + 3.0, batch["video"])
    assert torch.equal(pretext(batch | {"video": changed}), before)


@pytest.mark.parametrize("model", FAMILY)
def test_every_parameter_gets_a_gradient(model: str) -> None:
    pretext = autoencoder(model)
    pretext.loss(batch_for(pretext))[0].backward()
    assert [name for name, parameter in pretext.named_parameters() if parameter.grad is None] == []


def test_it_learns_a_clip_by_heart() -> None:
    pretext = autoencoder(standardise=False)
    batch = batch_for(pretext, clips=1)
    batch["video"] = batch["video"].mean((2, 3, 4), keepdim=True).expand_as(batch["video"]).contiguous()
    optimiser = torch.optim.AdamW(pretext.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss, _ = pretext.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_pictures_show_what_was_seen() -> None:
    pretext = autoencoder().eval()
    batch = batch_for(pretext)
    pictures = pretext.reconstruct(batch)
    original = (pretext.target.pixels(batch["video"]).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1)
    assert torch.equal(pictures.original, original)
    hidden = torch.zeros(2, 64, dtype=torch.bool).scatter(1, batch["masked"], True).reshape(2, 4, 4, 4)
    hidden = hidden.repeat_interleave(2, 1).repeat_interleave(16, 2).repeat_interleave(16, 3)
    assert torch.equal(pictures.reconstructed[~hidden], original[~hidden])
    assert (pictures.masked[hidden] == 128).all()
    assert not torch.equal(pictures.reconstructed[hidden], original[hidden])


def test_gallery_is_one_picture_of_all_clips(tmp_path) -> None:
    pretext = autoencoder().eval()
    pictures = pretext.reconstruct(batch_for(pretext))
    assert gallery(pictures, frames=4, gap=4).size == (4 * 68, 2 * 3 * 68 + 8)
    save_gallery(pictures, tmp_path / "gallery.png")
    assert [file.name for file in tmp_path.iterdir()] == ["gallery.png"]
    with pytest.raises(MienError, match="cannot be written"):
        save_gallery(pictures, tmp_path / "gallery.png" / "gallery.png")


def test_no_weight_decay_names_its_own_parameters() -> None:
    pretext = create_pretext("masked_autoencoder", "videomae_test", {"positions": "learned"}, VIDEO)
    assert pretext.no_weight_decay() == {"mask_token", "encoder.positions.table"}
    assert pretext.no_weight_decay() <= {name for name, _ in pretext.named_parameters()}


def test_region_tokens_are_decayed_only_where_that_is_asked_for() -> None:
    """Published pretraining decayed them by mistake; the option repeats it."""
    plain, published = (autoencoder("maedfer_test", mask_ratio=0.5, decay_tokens=option) for option in (False, True))
    assert plain.no_weight_decay() == {"mask_token", "encoder.region_tokens"}
    assert published.no_weight_decay() == {"mask_token"}


def test_the_decoder_follows_the_encoders_block_options() -> None:
    pretext = create_pretext("masked_autoencoder", "videomae_test", {"layer_scale": 0.1, "qv_bias": False}, VIDEO)
    names = {name for name, _ in pretext.named_parameters()}
    assert "decoder.blocks.0.attention_scale.weight" in names
    assert "decoder.blocks.0.attention.query_bias" not in names


@pytest.mark.parametrize(
    ("kind", "model", "options", "message"),
    [
        ("masked_autoencodr", "videomae_test", {}, "did you mean masked_autoencoder"),
        ("masked_autoencoder", "vaerr_test", {}, "cannot be pretrained by masking"),
        ("masked_autoencoder", "videomae_test", {"mask_ratio": 1.5}, "mask_ratio 1.5"),
        ("masked_autoencoder", "videomae_test", {"colour": 1}, "cannot be built with"),
    ],
)
def test_requests_that_make_no_sense_are_usage_errors(kind: str, model: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_pretext(kind, model, {}, VIDEO, options)
