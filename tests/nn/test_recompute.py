"""Blocks that compute anew: the same losses and gradients to the bit, less memory, and the same names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.data.manifest import Row
from mien.models.registry import create_encoder, default_inputs
from mien.models.specification import TaskConfig
from mien.nn.recompute import Recomputable, recompute
from mien.pretext import create_pretext
from mien.tasks import create_model, create_task

VIDEO = ("videomae_test", "svfap_test", "maedfer_test")
DRAWN = {"drop_path": 0.5, "dropout": 0.2, "attention_dropout": 0.2}
Made = tuple[nn.Module, dict[str, Tensor]]


def pretrained(model: str) -> Made:
    """A masked autoencoder with its masks."""
    video = default_inputs(model).video
    assert video is not None
    pretext = create_pretext("masked_autoencoder", model, DRAWN, video, {})
    assert pretext.extras is not None
    clips = torch.randn(2, 3, 8, 64, 64)
    drawn = [pretext.extras(np.random.default_rng(n), {"video": clip}, Row("", Path())) for n, clip in enumerate(clips)]
    return pretext, {"video": clips, **{name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}}


def fine_tuned(model: str) -> Made:
    """A classifier with two clips."""
    task = create_task(TaskConfig(kind="classification", outputs=("a", "b")))
    options: dict[str, Any] = {"dropout": 0.5} if model.startswith("viper") else DRAWN
    inputs = default_inputs(model)
    batch = {stream.name: torch.randn(2, 32, stream.width) for stream in inputs.streams}
    return create_model(model, task, **options), batch or {"video": torch.randn(2, 3, 8, 64, 64)}


@contextmanager
def counted() -> Iterator[list[int]]:
    """Bytes that wait for the backward pass, beside weights: each piece of memory once."""
    total: list[int] = []
    seen: dict[int, Tensor] = {}

    def keep(values: Tensor) -> Tensor:
        place = values.untyped_storage().data_ptr()
        if not isinstance(values, nn.Parameter) and place not in seen:
            seen[place] = values
            total.append(values.untyped_storage().nbytes())
        return values

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values):
        yield total


def taken(module: nn.Module, batch: dict[str, Tensor], bf16: bool) -> tuple[Tensor, dict[str, Tensor], int]:
    """Loss, gradients by name, bytes kept; every draw begins at the same seed."""
    torch.manual_seed(5)
    module.train()
    with counted() as total, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = module.loss(batch)[0] if hasattr(module, "loss") else module(batch).float().square().mean()  # type: ignore[operator]
    torch.rand(3)  # what is drawn in between must not change what is drawn anew
    loss.backward()
    found = {name: one.grad for name, one in module.named_parameters() if one.grad is not None}
    module.zero_grad(set_to_none=True)
    return loss.detach(), found, sum(total)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(
    ("make", "model"),
    [*((pretrained, model) for model in VIDEO), *((fine_tuned, model) for model in (*VIDEO, "viper_test"))],
)
def test_losses_and_gradients_are_the_same_bits(make: Any, model: str, bf16: bool) -> None:
    torch.manual_seed(0)
    module, batch = make(model)
    names = list(module.state_dict())
    loss, gradients, kept = taken(module, batch, bf16)
    assert recompute(module) > 0
    anew, again, less = taken(module, batch, bf16)
    assert torch.equal(loss, anew)
    assert gradients.keys() == again.keys()
    assert all(torch.equal(gradients[name], again[name]) for name in gradients)
    assert less < 0.8 * kept  # the blocks' own inputs, about a tenth of what they keep, are not in it
    assert list(module.state_dict()) == names


def test_nothing_is_computed_anew_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = create_encoder("videomae_test")
    video = {"video": torch.randn(1, 3, 8, 64, 64)}
    with torch.no_grad():
        before = encoder.forward_features(video).pooled
        recompute(encoder)
        monkeypatch.setattr("mien.nn.recompute.checkpoint", None)
        assert torch.equal(encoder.forward_features(video).pooled, before)


def test_every_transformer_has_blocks_and_others_have_none() -> None:
    for model in ("videomae_test", "svfap_test", "maedfer_test", "maedfer_ca_test", "viper_test"):
        encoder = create_encoder(model)
        blocks = [module for module in encoder.modules() if isinstance(module, Recomputable)]
        assert len(blocks) == recompute(encoder) >= encoder.depth - 1, model
        inside = [part for block in blocks for part in block.modules()]
        assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in inside)
    assert recompute(create_encoder("vaerr_test")) == 0
