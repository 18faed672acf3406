"""Published fusion and EfficientFace files to bundles and back; face weights that start a fusion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.collect import cases
from tests.parity.detweights import state_for
from torch import Tensor

from mien.checkpoints.bundle import load
from mien.checkpoints.conversion import Settings, convert, export
from mien.checkpoints.handover import initialise_from
from mien.errors import MienError
from mien.models import create_encoder

DATA = Path(__file__).parents[1] / "parity" / "data"


def published(name: str) -> dict[str, Tensor]:
    return state_for(next(case.data["state"] for case in cases(DATA) if str(case) == f"avfusion-{name}"))


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    """As training on a GPU left it."""
    content = {"epoch": 7, "arch": "multimodalcnn", "best_prec1": 50.0, "optimizer": {}}
    torch.save(content | {"state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    return path


@pytest.mark.parametrize("fusion", ["lt", "it", "ia"])
def test_a_fusion_goes_there_and_back_bit_for_bit(fusion: str, tmp_path: Path) -> None:
    state = published(f"{fusion}_h1_both")
    file = saved(tmp_path / "RAVDESS_multimodalcnn_15_best0.pth", state)
    done = convert("avfusion", file, tmp_path / "bundle", Settings(heads=4))
    assert not done.dropped
    specification = load(tmp_path / "bundle").specification
    assert specification.arguments == {"absent": "zeros", "heads": 4, "spare_classes": 8}
    assert specification.task is not None
    assert specification.task.outputs[:2] == ("neutral", "calm")
    video = specification.inputs.video
    assert video is not None
    assert (video.channels, video.mean, video.std, video.frames) == ("bgr", (0.0,) * 3, (1.0,) * 3, 15)
    assert export("avfusion", tmp_path / "bundle", tmp_path / "back.safetensors") == len(state)
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_heads_must_be_told_and_other_files_are_refused(tmp_path: Path) -> None:
    state = published("ia_h1_both")
    file = saved(tmp_path / "best.pth", state)
    with pytest.raises(MienError, match="give --heads"):
        convert("avfusion", file, tmp_path / "bundle")
    with pytest.raises(MienError, match="no EfficientFace checkpoint"):
        convert("efficientface", file, tmp_path / "bundle")
    other = saved(tmp_path / "other.pth", {name: value for name, value in state.items() if "conv5" not in name})
    with pytest.raises(MienError, match="missing"):
        convert("avfusion", other, tmp_path / "bundle", Settings(heads=1))
    assert not (tmp_path / "bundle").exists()


def test_face_weights_start_the_face_branch_of_a_fusion(tmp_path: Path) -> None:
    state = published("efficientface")
    convert("efficientface", saved(tmp_path / "faces.pth.tar", state), tmp_path / "faces")
    fusion = create_encoder("avfusion_late_transformer")
    done = initialise_from(tmp_path / "faces", fusion)
    assert len(done.carried) == 416
    assert set(done.dropped) == {"head.linear.weight", "head.linear.bias"}
    assert all(name.startswith("video.encoder.") for name in done.carried)
    assert torch.equal(fusion.state_dict()["video.encoder.last.1.bias"], state["conv5.1.bias"])
