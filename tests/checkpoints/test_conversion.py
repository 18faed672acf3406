"""Published files to bundles and back, with weights made from published names."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.collect import Case, cases
from tests.parity.detweights import state_for
from torch import Tensor

from mien.checkpoints.bundle import load
from mien.checkpoints.conversion import Settings, convert, export
from mien.checkpoints.convert.base import get_converter
from mien.checkpoints.verification import verify
from mien.errors import MienError, UsageError
from mien.models import Recogniser

DATA = Path(__file__).parents[1] / "parity" / "data"


def case(name: str) -> Case:
    return next(c for c in cases(DATA) if c.name == name)


def checkpoint(path: Path, state: dict[str, Tensor], **options: object) -> Path:
    torch.save({"model": state, "epoch": 3, "optimizer": {}, "args": argparse.Namespace(**options)}, path)
    return path


@pytest.fixture
def pretrained(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    state = state_for(case("videomae_pt_tiny").data["state"])
    return checkpoint(tmp_path / "pretrained.pth", state, input_size=64, sampling_rate=2), state


@pytest.fixture
def finetuned(tmp_path: Path, pretrained: tuple[Path, dict[str, Tensor]]) -> tuple[Path, dict[str, Tensor]]:
    """A fine-tuned file of the same width, as training from those weights would leave it."""
    encoder = {n.removeprefix("encoder."): v for n, v in pretrained[1].items() if n.startswith("encoder.")}
    encoder = {n.replace("norm.", "fc_norm.") if n.startswith("norm.") else n: v for n, v in encoder.items()}
    state = encoder | state_for({"head.weight": [3, 48], "head.bias": [3]})
    return checkpoint(tmp_path / "finetuned.pth", state, input_size=64, num_frames=8), state


def test_a_pretraining_file_becomes_an_encoder_and_says_what_it_dropped(
    tmp_path: Path, pretrained: tuple[Path, dict[str, Tensor]]
) -> None:
    path, state = pretrained
    done = convert("videomae", path, tmp_path / "bundle", Settings(heads=4))
    assert set(done.carried) == {name for name in state if name.startswith("encoder.")}
    assert set(done.dropped) == set(state) - set(done.carried)
    bundle = load(tmp_path / "bundle")
    assert bundle.task is None
    assert [(one.corpus, one.stage) for one in bundle.specification.provenance.ledger] == [("unknown", "pretraining")]
    video = bundle.specification.inputs.video
    assert (video.size, video.frames, video.stride, video.crop.size) == (64, 16, 2, 64)
    assert torch.equal(bundle.encoder.state_dict()["norm.bias"], state["encoder.norm.bias"])
    assert "pretrained.pth, sha256 " in bundle.specification.provenance.source
    assert all(check.ok for check in verify(tmp_path / "bundle"))


def test_a_finetuned_file_goes_there_and_back_bit_for_bit(
    tmp_path: Path, finetuned: tuple[Path, dict[str, Tensor]]
) -> None:
    path, state = finetuned
    settings = Settings(
        outputs=("calm", "angry", "glad"), heads=4, stride=3, licence="cc-by-4.0", seen=("k400", "dfew")
    )
    done = convert("videomae", path, tmp_path / "bundle", settings)
    assert not done.dropped
    bundle = load(tmp_path / "bundle")
    assert isinstance(bundle.model, Recogniser)
    assert bundle.specification.task.outputs == ("calm", "angry", "glad")
    assert bundle.specification.inputs.video.stride == 3
    assert bundle.specification.provenance.licence == "cc-by-4.0"
    ledger = [(one.corpus, one.stage) for one in bundle.specification.provenance.ledger]
    assert ledger == [("k400", "pretraining"), ("dfew", "fine-tuning")]
    assert export("videomae", tmp_path / "bundle", tmp_path / "back.safetensors") == len(state)
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("change", "settings", "error", "message"),
    [
        ({}, Settings(), MienError, "do not tell the number of attention heads"),
        ({}, Settings(heads=4, outputs=("a", "b")), UsageError, "2 names were given for a head with 3 outputs"),
        ({"blocks.0.extra": torch.zeros(1)}, Settings(heads=4), MienError, r"does not have: blocks\.0\.extra"),
        ({"fc_norm.bias": None}, Settings(heads=4), MienError, r"missing encoder\.norm\.bias"),
        ({"head.bias": torch.zeros(4)}, Settings(heads=4), MienError, r"head\.linear\.bias is \(4,\) but"),
        ({"patch_embed.proj.weight": None}, Settings(heads=4), MienError, "no VideoMAE checkpoint"),
    ],
)
def test_files_that_do_not_fit_are_refused_and_leave_nothing(
    tmp_path: Path,
    finetuned: tuple[Path, dict[str, Tensor]],
    change: dict[str, Tensor | None],
    settings: Settings,
    error: type[MienError],
    message: str,
) -> None:
    state = {name: value for name, value in (finetuned[1] | change).items() if value is not None}
    path = checkpoint(tmp_path / "changed.pth", state, input_size=64)
    with pytest.raises(error, match=message):
        convert("videomae", path, tmp_path / "bundle", settings)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"registered_name": "vit_giant_patch16_224"}, "no registered VideoMAE model"),
        ({"cls": "VisionTransformer", "colour": 3}, "has no argument colour"),
        ({"registered_name": "pretrain_videomae_base_patch16_224", "use_learnable_pos_emb": True}, "learned positions"),
        ({"registered_name": "pretrain_videomae_base_patch16_224", "decoder_num_classes": 10}, "1536 values"),
    ],
)
def test_published_arguments_that_make_no_sense_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_converter("videomae").plan_arguments(arguments)


def test_published_variations_reach_the_model() -> None:
    plan = get_converter("videomae").plan_arguments(
        {
            "cls": "VisionTransformer",
            "img_size": 64,
            "embed_dim": 48,
            "depth": 2,
            "num_heads": 4,
            "all_frames": 8,
            "use_mean_pooling": False,
            "use_learnable_pos_emb": True,
            "init_values": 0.1,
            "qk_scale": 0.3,
            "num_classes": 5,
        }
    )
    wanted = {"pooling": "first", "positions": "learned", "layer_scale": 0.1, "qk_scale": 0.3, "qv_bias": False}
    assert plan.arguments.items() >= (wanted | {"frames": 8, "size": 64, "norm_eps": 1e-5}).items()
    assert plan.outputs == 5


def test_only_safetensors_are_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="safetensors only"):
        export("videomae", tmp_path, tmp_path / "weights.pth")


def test_verification_finds_what_is_wrong(tmp_path: Path, finetuned: tuple[Path, dict[str, Tensor]]) -> None:
    convert("videomae", finetuned[0], tmp_path / "bundle", Settings(heads=4))
    assert [check.ok for check in verify(tmp_path / "bundle")] == [True] * 4
    config = tmp_path / "bundle" / "config.json"
    content = json.loads(config.read_text())
    content["task"]["outputs"].reverse()
    config.write_text(json.dumps(content))
    failed = [check for check in verify(tmp_path / "bundle") if not check.ok]
    assert [check.found for check in failed] == ["config.json was changed after the weights were saved"]
    (tmp_path / "bundle/model.safetensors").unlink()
    assert [check.ok for check in verify(tmp_path / "bundle")] == [False]
    with pytest.raises(UsageError, match="does not exist"):
        verify(tmp_path / "nothing")


def test_verification_finds_broken_weights(tmp_path: Path, finetuned: tuple[Path, dict[str, Tensor]]) -> None:
    state = finetuned[1] | {"head.bias": torch.tensor([0.0, float("nan"), 0.0])}
    convert("videomae", checkpoint(tmp_path / "nan.pth", state, input_size=64), tmp_path / "bundle", Settings(heads=4))
    failed = {check.name: check.found for check in verify(tmp_path / "bundle") if not check.ok}
    assert failed["weights are finite"] == "NaN or infinite: head.linear.bias"
    assert "not finite" in failed["runs on a blank clip"]
