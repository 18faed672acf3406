"""Start values by the publications: spread of every kind of tensor, at widths that the published rules are for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mien.models import create_encoder
from mien.models.motion import MotionEncoder
from mien.models.specification import VideoInput
from mien.pretext import create_pretext
from mien.tasks.heads import ClipHead

WIDE = {"frames": 4, "size": 32, "dim": 192, "heads": 4}
ENCODERS = {
    "videomae_base": {"depth": 1, "layer_scale": 0.1},
    "svfap_base": {"depths": (1, 2), "bottlenecks": (3,), "layer_scale": 0.1},
    "maedfer_base": {"depth": 1, "region": (1, 1, 2)},
}


def deviation(values: Tensor) -> float:
    return float(values.detach().square().mean().sqrt())


def kaiming_uniform(layer: nn.Module) -> float:
    """Deviation of PyTorch's own start of a layer: uniform within one over the root of its inputs."""
    return 1 / math.sqrt(3 * math.prod(layer.weight.shape[1:]))


def check(module: nn.Module, linear: float | None) -> None:
    """Linear layers with a deviation of ``linear``, or Xavier's; the rest as PyTorch makes it; q and v biases zero."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            spread = linear or math.sqrt(2 / sum(layer.weight.shape))
            assert deviation(layer.weight) == pytest.approx(spread, rel=0.1), name
            assert layer.bias is None or not layer.bias.any(), name
        elif isinstance(layer, nn.Conv1d | nn.Conv3d):
            assert deviation(layer.weight) == pytest.approx(kaiming_uniform(layer), rel=0.05), name
            assert layer.bias is not None
            assert layer.bias.any(), name
        elif isinstance(layer, nn.LayerNorm):
            assert (layer.weight == 1).all(), name
            assert not layer.bias.any(), name
    for name, parameter in module.named_parameters():
        if name.endswith(("query_bias", "value_bias")):
            assert not parameter.any(), name
        elif name.endswith("_scale.weight"):
            assert (parameter == 0.1).all(), name


@pytest.mark.parametrize("name", ENCODERS)
def test_fine_tuning_starts_from_normal_linears(name: str) -> None:
    torch.manual_seed(0)
    encoder = create_encoder(name, **WIDE, **ENCODERS[name])
    check(encoder, 0.02)
    if name == "maedfer_base":
        assert deviation(encoder.region_tokens) == pytest.approx(0.02, rel=0.15)
    head = ClipHead(512, 400, init_scale=0.001)
    assert deviation(head.linear.weight) == pytest.approx(2e-5, rel=0.02)
    assert not head.linear.bias.any()


@pytest.mark.parametrize("name", ENCODERS)
def test_masked_pretraining_starts_from_xavier_linears(name: str) -> None:
    torch.manual_seed(0)
    arguments = {**WIDE, **ENCODERS[name]}
    options = {"decoder_dim": 96, "decoder_heads": 2, "decoder_depth": 1}
    pretext = create_pretext("masked_autoencoder", name, arguments, VideoInput(stride=1), options)
    check(pretext.encoder, None)
    check(pretext.decoder, None)
    assert deviation(pretext.bridge.weight) == pytest.approx(kaiming_uniform(pretext.bridge), rel=0.05)
    tokens = [pretext.mask_token] + ([pretext.encoder.region_tokens] if name == "maedfer_base" else [])
    for token in tokens:
        assert token.abs().max() <= 0.02 + 1e-9, "cut at one deviation"
        assert 0.008 < deviation(token) < 0.013  # 0.54 of what is not cut


def test_perceivers_start_small() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("viper_v", latents=16, dim=128, depth=1)
    for name, parameter in encoder.named_parameters():
        if parameter.ndim > 1:
            assert deviation(parameter) == pytest.approx(0.02, rel=0.1), name
        else:
            assert (parameter == float("norm" in name and name.endswith("weight"))).all(), name


def test_motion_starts_by_what_goes_out() -> None:
    """Kaiming's fan-out for the blocks; PyTorch's own start for the stem and the projection."""
    torch.manual_seed(0)
    encoder = create_encoder("maedfer_ca_test")
    assert isinstance(encoder, MotionEncoder)
    branch = encoder.motion
    layers = [branch.entry[0]] + [layer for stage in branch.stages for layer in (stage.conv1, stage.conv2)]
    for layer in layers:
        fan_out = layer.out_channels * math.prod(layer.kernel_size)
        assert deviation(layer.weight) == pytest.approx(math.sqrt(2 / fan_out), rel=0.2)
    for layer in (branch.stem[0], branch.project):
        assert deviation(layer.weight) == pytest.approx(kaiming_uniform(layer), rel=0.1)
    norms = [module for module in branch.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all((norm.weight == 1).all() and not norm.bias.any() for norm in norms)
