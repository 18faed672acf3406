"""Files of SVFAP, MAE-DFER and MAE-DFER-CA: to bundles, to predictions, and back to the authors' names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.detweights import state_for
from tests.parity.running import build
from torch import Tensor

from mien.checkpoints.bundle import load
from mien.checkpoints.conversion import Settings, convert, export
from mien.checkpoints.convert.base import get_converter
from mien.checkpoints.handover import hand_over
from mien.checkpoints.strict import load_strictly
from mien.cli.app import run
from mien.errors import MienError, UsageError
from mien.models import create_encoder

NORM = "LayerNorm(eps=1e-6)"
SVFAP = {
    "constructor": "TPSBT",
    "img_size": 64,
    "embed_dim": 48,
    "num_heads": 4,
    "qkv_bias": True,
    "norm_layer": NORM,
    "all_frames": 8,
    "num_classes": 3,
    "stage_depths": [2, 2, 1],
    "num_bottleneck_tokens": [3, 2],
}
SVFAP_PRETRAINING = {
    "constructor": "PretrainVisionTransformer",
    "img_size": 64,
    "encoder_embed_dim": 48,
    "encoder_num_heads": 4,
    "decoder_embed_dim": 64,
    "decoder_num_heads": 1,
    "decoder_depth": 1,
    "qkv_bias": True,
    "norm_layer": NORM,
    "all_frames": 8,
    "stage_depths": [2, 2, 1],
    "num_bottleneck_tokens": [3, 2],
}
REGIONS = {"attn_type": "local_global", "lg_region_size": [2, 2, 4]}
MAEDFER = {
    "cls": "VisionTransformer",
    "norm_eps": 1e-6,
    "img_size": 64,
    "embed_dim": 48,
    "depth": 2,
    "num_heads": 4,
    "qkv_bias": True,
    "num_classes": 3,
    "all_frames": 8,
    "lg_classify_token_type": "region",
    **REGIONS,
}
MAEDFER_PRETRAINING = {
    "cls": "PretrainVisionTransformer",
    "norm_eps": 1e-6,
    "img_size": 64,
    "encoder_embed_dim": 48,
    "encoder_depth": 2,
    "encoder_num_heads": 4,
    "decoder_embed_dim": 64,
    "decoder_num_heads": 1,
    "decoder_depth": 1,
    "qkv_bias": True,
    "all_frames": 8,
    **REGIONS,
}
CASES = {
    "svfap": ("svfap", SVFAP),
    "svfap first token": ("svfap", SVFAP | {"use_mean_pooling": False, "init_values": 0.1}),
    "svfap pretraining": ("svfap", SVFAP_PRETRAINING),
    "maedfer": ("maedfer", MAEDFER),
    "maedfer org": ("maedfer", MAEDFER | {"lg_classify_token_type": "org", "lg_first_attn_type": "cross"}),
    "maedfer no third": ("maedfer", MAEDFER | {"lg_no_third": True, "qkv_bias": False}),
    "maedfer self": ("maedfer", MAEDFER | {"lg_third_attn_type": "self", "lg_no_second": True}),
    "maedfer shared": ("maedfer", MAEDFER | {"lg_attn_param_sharing_all": True}),
    "maedfer joint": ("maedfer", MAEDFER | {"attn_type": "joint", "use_learnable_pos_emb": True}),
    "maedfer pretraining": ("maedfer", MAEDFER_PRETRAINING),
    "maedfer_ca add": ("maedfer_ca", MAEDFER | {"variant": "add"}),
    "maedfer_ca pos": ("maedfer_ca", MAEDFER | {"variant": "add(pos)"}),
    "maedfer_ca cat": ("maedfer_ca", MAEDFER | {"variant": "cat"}),
}
OPTIONS = ("stage_depths", "lg_region_size", "lg_classify_token_type")


def published(system: str, arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """A published model's weights by their names; shared attention has the same values under every alias."""
    converter = get_converter(system)
    plan = converter.plan_arguments(arguments)
    model = build(plan)
    shapes = {name: value.shape for name, value in converter.to_published(model.state_dict(), plan).items()}
    load_strictly(model, converter.to_mien(state_for(shapes), plan), "the test")
    return converter.to_published(model.state_dict(), plan)


def checkpoint(path: Path, state: Mapping[str, Tensor], arguments: Mapping[str, Any], **more: Any) -> Path:
    """The authors' container: a pickle of weights, optimiser, epoch, scaler and the Namespace of the options."""
    told = {name: arguments[name] for name in OPTIONS if name in arguments}
    args = argparse.Namespace(input_size=64, num_frames=8, sampling_rate=4, **told, **more)
    torch.save({"model": dict(state), "optimizer": {}, "epoch": "best", "scaler": {}, "args": args}, path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_a_file_goes_there_and_back_bit_for_bit(case: str, tmp_path: Path) -> None:
    system, arguments = CASES[case]
    state = published(system, arguments)
    done = convert(system, checkpoint(tmp_path / "a.pth", state, arguments), tmp_path / "bundle", Settings(heads=4))
    pretraining = case.endswith("pretraining")
    assert set(done.carried) == {name for name in state if not pretraining or name.startswith("encoder.")}
    assert set(done.dropped) == set(state) - set(done.carried)
    assert export(system, tmp_path / "bundle", tmp_path / "back.safetensors") == len(done.carried)
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == set(done.carried)
    assert all(torch.equal(value, state[name]) for name, value in back.items())


@pytest.mark.parametrize("case", [name for name in CASES if not name.endswith("pretraining")])
def test_a_bundle_computes_what_the_published_arguments_say(case: str, tmp_path: Path) -> None:
    system, arguments = CASES[case]
    converter = get_converter(system)
    state = published(system, arguments)
    convert(system, checkpoint(tmp_path / "a.pth", state, arguments), tmp_path / "bundle", Settings(heads=4))
    plan = converter.plan_arguments(arguments)
    model = build(plan).eval()
    load_strictly(model, converter.to_mien(state, plan), "the test")
    video = torch.randn(1, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(load(tmp_path / "bundle").model({"video": video}), model({"video": video}))


def test_a_per_frame_head_keeps_its_activation_and_the_order_it_was_trained_with(tmp_path: Path) -> None:
    arguments = MAEDFER | {"lg_classify_token_type": "org", "keep_temporal_dim": True, "head_activation_func": "tanh"}
    options = {"keep_temporal_dim": True, "head_activation_func": "tanh"}
    path = checkpoint(tmp_path / "a.pth", published("maedfer", arguments), arguments, **options)
    with pytest.raises(UsageError, match="ends in tanh"):
        convert("maedfer", path, tmp_path / "bundle", Settings(heads=4))
    settings = Settings(heads=4, task="dimensions", outputs=("valence", "arousal", "dominance"))
    convert("maedfer", path, tmp_path / "bundle", settings)
    bundle = load(tmp_path / "bundle")
    assert bundle.specification.task.level == "frame"
    assert bundle.specification.arguments["order"] == "released"
    outputs = bundle.model({"video": torch.zeros(1, 3, 8, 64, 64)})
    assert outputs.shape == (1, 8, 3)
    assert bundle.task.read(outputs).abs().max() <= 1


def test_the_command_converts_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mien(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        assert run() == 0, capsys.readouterr().err
        return capsys.readouterr().out

    state = published("svfap", SVFAP)
    path, bundle, back = checkpoint(tmp_path / "a.pth", state, SVFAP), tmp_path / "bundle", tmp_path / "b.safetensors"
    said = mien("convert", "svfap", path, "--out", bundle, "--classes", "calm,glad,sad", "--heads", 4)
    assert f"{len(state)} tensors carried, 0 dropped" in said
    mien("convert", "svfap", bundle, "--out", back, "--to-published")
    assert all(torch.equal(value, state[name]) for name, value in load_file(back).items())


@pytest.mark.parametrize(
    ("system", "change", "message"),
    [
        ("svfap", {"temporal_downsamples.0.weight": None}, "no SVFAP checkpoint"),
        ("svfap", {"spatial_downsamples.0.mlp.fc2.bias": None}, "missing encoder.bottlenecks.0.score.2.bias"),
        ("svfap", {"blocks.9.norm1.weight": torch.ones(48)}, "blocks"),
        ("maedfer", {"lg_region_tokens": torch.zeros(5, 48)}, "region_tokens is"),
        ("maedfer", {"blocks.0.first_attn.k_bias": torch.zeros(48)}, "does not have"),
        ("maedfer_ca", {"conv_act.0.weight": None}, "no MAE-DFER-CA checkpoint"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    system: str, change: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    arguments = SVFAP if system == "svfap" else MAEDFER
    changed = published(system, arguments) | change
    state = {name: value for name, value in changed.items() if value is not None}
    with pytest.raises(MienError, match=message):
        convert(system, checkpoint(tmp_path / "a.pth", state, arguments), tmp_path / "bundle", Settings(heads=4))
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("system", "arguments", "message"),
    [
        ("svfap", {"constructor": "vit_base"}, "no SVFAP model"),
        ("svfap", SVFAP | {"colour": 1}, "no argument colour"),
        ("svfap", SVFAP_PRETRAINING | {"use_learnable_pos_emb": True}, "learned positions"),
        ("svfap", SVFAP_PRETRAINING | {"decoder_num_classes": 10}, "1536 values"),
        ("maedfer", MAEDFER_PRETRAINING | {"decoder_num_classes": 10}, "1536 values"),
        ("maedfer", {"registered_name": "vit_large"}, "no MAE-DFER model"),
        ("maedfer", MAEDFER | {"lg_colour": 1}, "no argument lg_colour"),
        ("maedfer", MAEDFER | {"init_values": 0.1}, "layer scale"),
        ("maedfer", MAEDFER_PRETRAINING | {"use_learnable_pos_emb": True}, "learned positions"),
        ("maedfer_ca", MAEDFER | {"variant": "multiply"}, "no variant"),
        ("maedfer_ca", MAEDFER | {"attn_type": "joint"}, "fine-tuned LGI-Formers only"),
    ],
)
def test_published_arguments_that_make_no_sense_are_refused(
    system: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        get_converter(system).plan_arguments(arguments)


@pytest.mark.parametrize(("system", "arguments"), [("svfap", SVFAP), ("maedfer", MAEDFER), ("videomae", {"depth": 2})])
def test_arguments_of_nothing_are_the_published_defaults(system: str, arguments: dict[str, Any]) -> None:
    nothing = dict.fromkeys(("init_values", "qk_scale", "drop_path_rate"))
    converter = get_converter(system)
    assert converter.plan_arguments(arguments | nothing) == converter.plan_arguments(arguments)


def test_the_motion_branch_starts_anew_beside_a_pretrained_encoder() -> None:
    plan = get_converter("maedfer").plan_arguments(MAEDFER_PRETRAINING)
    pretext = build(plan)
    joined = create_encoder("maedfer_ca_test")
    done = hand_over(pretext.state_dict(), joined)
    own = set(joined.state_dict())
    assert {name for name in done.new if name.startswith("encoder.")} == {"encoder.norm.weight", "encoder.norm.bias"}
    assert set(done.carried) | set(done.new) == own
    assert not set(done.carried) & {name for name in own if name.startswith("motion.")}
    assert torch.equal(joined.encoder.region_tokens, pretext.encoder.region_tokens)
    assert {name.split(".")[0] for name in done.dropped} == {"bridge", "decoder", "encoder", "mask_token"}


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_joined_encoder_hands_over_its_branch_too(wrapped: bool) -> None:
    source, target = create_encoder("maedfer_ca_test"), create_encoder("maedfer_ca_test")
    state = source.state_dict()
    if wrapped:
        state = {f"encoder.{name}": value for name, value in state.items()} | {"head.weight": torch.zeros(1)}
    done = hand_over(state, target, pretrained=False)
    assert set(done.carried) == set(target.state_dict())
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())
