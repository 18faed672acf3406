"""Published fusion and EfficientFace files to bundles and back; face weights that start a fusion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.collect import cases
from tests.parity.detweights import state_for
from torch import Tensor

from mien.checkpoints.bundle import load, save
from mien.checkpoints.conversion import Settings, convert, export
from mien.checkpoints.handover import initialise_from
from mien.errors import MienError, UsageError
from mien.models import create_encoder
from mien.models.contract import Encoder
from mien.models.registry import inputs_for
from mien.models.specification import Exposure, Provenance, Specification, TaskConfig
from mien.tasks import create_model, create_task
from mien.training.experiment import start_from

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


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("EfficientFace_Trained_on_AffectNet7.pth.tar", (0.55391484, 0.43522123, 0.3821877), 0.24837189),
        ("EfficientFace_Trained_on_CAER-S.pth.tar", (0.35964426, 0.22359873, 0.19040863), 0.15188067),
        ("EfficientFace_Trained_on_RAFDB.pth.tar", (0.57535914, 0.44928582, 0.40079932), 0.20735591),
        ("faces.pth.tar", (0.57535914, 0.44928582, 0.40079932), 0.20735591),
    ],
)
def test_face_weights_are_fed_with_the_colours_of_their_corpus(
    name: str, mean: tuple[float, ...], std: float, tmp_path: Path
) -> None:
    convert("efficientface", saved(tmp_path / name, published("efficientface")), tmp_path / "faces")
    video = load(tmp_path / "faces").specification.inputs.video
    assert video is not None
    assert (video.mean, video.std[0], video.frames, video.size) == (mean, std, 1, 224)


PAIR = {
    "video": {"name": "svfap_test"},
    "sound": {"name": "logmel_cnn_test"},
    "fusion": "late_transformer",
    "widths": (8, 8, 16, 16),
}


def trained(name: str, folder: Path, corpus: str) -> Path:
    """A bundle of a model on its own, with weights that nothing else starts with."""
    task = TaskConfig(kind="classification", outputs=("low", "high"))
    torch.manual_seed(7)
    model = create_model(name, create_task(task))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    seen = Provenance(licence="CC-BY", ledger=(Exposure(corpus=corpus, stage="fine-tuning"),))
    specification = Specification(model=name, inputs=inputs_for(name, {}), task=task, provenance=seen)
    return save(model.eval(), specification, folder / name)


def same(fusion: Encoder, prefix: str, folder: Path, inner: str) -> bool:
    """Whether all of ``fusion`` under a prefix is what a bundle holds under another."""
    own, given = fusion.state_dict(), load(folder).model.state_dict()
    names = [name for name in own if name.startswith(prefix)]
    return bool(names) and all(torch.equal(own[name], given[inner + name.removeprefix(prefix)]) for name in names)


def test_each_branch_starts_from_weights_of_its_own(tmp_path: Path) -> None:
    heard, seen = trained("logmel_cnn_test", tmp_path, "voices"), trained("svfap_test", tmp_path, "faces")
    fusion = create_encoder("avfusion", **PAIR)
    origin = start_from({"video": str(seen), "sound": str(heard)}, fusion, "avfusion")
    assert same(fusion, "sound.encoder.", heard, "encoder.")
    assert same(fusion, "video.encoder.", seen, "encoder.")
    assert [entry.corpus for entry in origin.ledger] == ["faces", "voices"]
    assert origin.licence == "CC-BY"
    one = create_encoder("avfusion", **PAIR)
    before = {name: value.clone() for name, value in one.state_dict().items()}
    start_from(str(heard), one, "avfusion")  # its modality says which branch is meant
    assert same(one, "sound.encoder.", heard, "encoder.")
    changed = {name for name, value in one.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("sound.encoder.") for name in changed)


def test_a_whole_branch_starts_from_that_branch_alone(tmp_path: Path) -> None:
    heard = trained("avfusion_audio_cnn_test", tmp_path, "voices")
    fusion = create_encoder("avfusion_intermediate_attention_test")
    done = initialise_from(heard, fusion, "sound")
    assert same(fusion, "sound.", heard, "encoder.branch.")
    assert set(done.carried) == {name for name in fusion.state_dict() if name.startswith("sound.")}
    assert set(done.new) == set(fusion.state_dict()) - set(done.carried)
    assert set(done.dropped) == {"head.linear.weight", "head.linear.bias"}


def test_weights_for_the_wrong_branch_are_refused(tmp_path: Path) -> None:
    heard = trained("logmel_cnn_test", tmp_path, "voices")
    fusion = create_encoder("avfusion", **PAIR)
    with pytest.raises(UsageError, match=r"model\.init\.video=.* takes sound; it cannot start the part for video"):
        start_from({"video": str(heard)}, fusion, "avfusion")
    with pytest.raises(UsageError, match="has no part 'smell' that starts on its own; its parts: video, sound"):
        start_from({"smell": str(heard)}, fusion, "avfusion")
    with pytest.raises(UsageError, match="its parts: none"):
        start_from({"sound": str(heard)}, create_encoder("svfap_test"), "svfap_test")
    with pytest.raises(MienError, match="these weights are of another model"):
        start_from(str(heard), create_encoder("avfusion_late_transformer_test"), "avfusion_late_transformer_test")
