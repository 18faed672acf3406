"""Fusion beside its parity: what is absent has no say, any pair of encoders fuses, in any of the three ways."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mien.errors import MienError, UsageError
from mien.models import create_encoder
from mien.models.avfusion import FUSIONS, AudioVisualFusion
from mien.models.registry import inputs_for


def batch(clips: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(clips, 10, 24, generator=generator)
    return {"video": torch.randn(clips, 3, 6, 64, 64, generator=generator), "sound": sound}


def fusion(name: str) -> AudioVisualFusion:
    torch.manual_seed(0)
    model = create_encoder(f"avfusion_{name}_test").eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.5)  # learned stand-ins begin at zero, where they say nothing
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for module in norms:
        module.momentum = 1.0
    with torch.no_grad():  # statistics of real activations, without which a fresh network hardly sees its input
        model.train().forward_features(batch())
    for module in norms:
        module.momentum = 0.1
    model.eval()
    assert isinstance(model, AudioVisualFusion)
    return model


@torch.inference_mode()
def pooled(model: AudioVisualFusion, inputs: dict[str, Tensor]) -> Tensor:
    return model.forward_features(inputs).pooled


@pytest.mark.parametrize("name", FUSIONS)
def test_absent_by_key_by_clip_and_by_step_are_the_same(name: str) -> None:
    model, inputs = fusion(name), batch()
    for gone, left in (("sound", "video"), ("video", "sound")):
        alone = pooled(model, {left: inputs[left]})
        by_clip = pooled(model, inputs | {f"{gone}_present": torch.zeros(3, dtype=torch.bool)})
        steps = inputs[gone].shape[2]
        by_step = pooled(model, inputs | {f"{gone}_present": torch.zeros(3, steps, dtype=torch.bool)})
        zeros = pooled(model, inputs | {gone: torch.zeros_like(inputs[gone])})
        torch.testing.assert_close(by_clip, alone)
        torch.testing.assert_close(by_step, alone)
        assert not torch.allclose(alone, zeros, atol=1e-3)
        assert not torch.allclose(alone, pooled(model, inputs), atol=1e-3)
        assert not torch.allclose(alone[0], alone[1], atol=1e-4)  # what is left still tells clips apart


@pytest.mark.parametrize("name", FUSIONS)
def test_what_lies_in_absent_steps_has_no_say(name: str) -> None:
    model, inputs = fusion(name), batch()
    marks = {"sound_present": torch.ones(3, 24, dtype=torch.bool), "video_present": torch.ones(3, 6, dtype=torch.bool)}
    marks["sound_present"][0, 12:] = False
    marks["video_present"][1, :3] = False
    changed = {name: value.clone() for name, value in inputs.items()}
    changed["sound"][0, :, 12:] = 1e3
    changed["video"][1, :, :3] = -50.0
    torch.testing.assert_close(pooled(model, changed | marks), pooled(model, inputs | marks))
    torch.testing.assert_close(pooled(model, inputs | marks)[2], pooled(model, inputs)[2])
    assert not torch.allclose(pooled(model, inputs | marks)[:2], pooled(model, inputs)[:2], atol=1e-3)


@pytest.mark.parametrize("name", FUSIONS)
def test_a_hole_in_steady_sound_changes_nothing(name: str) -> None:
    """Cepstral coefficients lie hundreds below 0, so zeros in a hole would be a bang to the convolutions beside it."""
    model, inputs = fusion(name), batch()
    inputs["sound"] = torch.linspace(-400, 50, 10)[None, :, None].expand(3, 10, 24).contiguous()
    marks = torch.ones(3, 24, dtype=torch.bool)
    marks[:, 8:14] = False
    holed = inputs["sound"] * marks[:, None]
    torch.testing.assert_close(
        pooled(model, inputs | {"sound": holed, "sound_present": marks}), pooled(model, inputs), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("name", FUSIONS)
def test_everything_learns_and_clips_without_a_modality_leave_its_statistics_alone(name: str) -> None:
    model, inputs = fusion(name).train(), batch()
    marks = {"video_present": torch.tensor([True, False, True]), "sound_present": torch.tensor([True, True, False])}
    model.forward_features(inputs | marks).pooled.square().sum().backward()
    lazy = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # of intermediate attention, values and projection of the bare attention take no part, as published
    assert {n.split(".")[0] for n in lazy if "projection" in n} <= {"to_sound", "to_video"}
    at = 1 if name == "late_transformer" else 0  # which of the stand-ins is attended to
    learning = (f"sound.stand_in.{at}", f"video.stand_in.{at}", "sound.stages", "video.stages")
    assert not [n for n in lazy if n.startswith(learning) and not n.endswith("bias")]
    fresh, once = fusion(name).train(), fusion(name).train()
    fresh.forward_features(inputs | marks)
    once.forward_features({"video": inputs["video"][[0, 2]], "sound": inputs["sound"][:2]})
    seen, wanted = fresh.video.stages[0][0][1].running_mean, once.video.stages[0][0][1].running_mean
    torch.testing.assert_close(seen, wanted)


@pytest.mark.parametrize("name", FUSIONS)
def test_any_two_encoders_fuse(name: str) -> None:
    arguments = {
        "video": {"name": "svfap_test"},
        "sound": {"name": "logmel_cnn_test"},
        "fusion": name,
        "heads": 2,
        "widths": (8, 8, 16, 16),
    }
    inputs = inputs_for("avfusion", arguments)
    assert inputs.video is not None
    assert inputs.sound is not None
    assert (inputs.video.frames, inputs.sound.options["bands"]) == (8, 32)
    model = create_encoder("avfusion", **arguments).eval()
    clip = {"video": torch.randn(2, 3, 8, 64, 64), "sound": torch.randn(2, 32, 60)}
    assert model.forward_features(clip).pooled.shape == (2, model.feature_dim)
    prefix, face = model.core()
    assert prefix == "video.encoder."
    assert model.layer_of("video.encoder.blocks.1.mlp.expand.weight") == face.layer_of("blocks.1.mlp.expand.weight")
    assert model.layer_of("to_sound.query.weight") == model.depth == face.depth + 1


@torch.inference_mode()
def frames(model: AudioVisualFusion, inputs: dict[str, Tensor]) -> Tensor:
    found = model.forward_features(inputs).frames
    assert found is not None
    return found


@pytest.mark.parametrize("name", FUSIONS)
def test_there_is_an_answer_at_every_picture(name: str) -> None:
    """What is heard late moves late answers most; whoever is alone in a batch answers as in company."""
    model, inputs = fusion(name), batch()
    whole = frames(model, inputs)
    assert whole.shape == (3, 6, model.feature_dim)
    late = inputs["sound"].clone()
    late[:, :, -3:] += 5.0
    moved = (frames(model, inputs | {"sound": late}) - whole)[..., : model.feature_dim // 2].abs().mean(dim=(0, 2))
    assert moved.argmax() == 5
    assert moved[5] > 2 * moved[:3].mean()
    unseen = {"video_present": torch.tensor([False, True, True])}
    torch.testing.assert_close(
        frames(model, inputs | unseen)[:1],
        frames(model, {key: value[:1] for key, value in (inputs | unseen).items()}),
    )
    heard_alone = frames(model, {"sound": inputs["sound"]})
    assert heard_alone.shape[1] > 6  # no pictures to answer for: at the steps of the sound
    seen_alone = frames(model, {"video": inputs["video"]})
    half = model.feature_dim // 2
    torch.testing.assert_close(seen_alone[:, :1, :half].expand(-1, 6, -1), seen_alone[..., :half])


@pytest.mark.parametrize("name", FUSIONS)
def test_a_moment_without_a_face_takes_the_mean_of_the_others(name: str) -> None:
    model, inputs = fusion(name), batch()
    marks = torch.ones(3, 6, dtype=torch.bool)
    marks[0, 2] = False
    seen = frames(model, inputs | {"video_present": marks})[0, :, -24:]
    rest = torch.cat([seen[:2], seen[3:]])
    torch.testing.assert_close(seen[2], rest.mean(dim=0))
    assert seen.std(dim=0).max() > 1e-3


def test_refusals() -> None:
    with pytest.raises(MienError, match="needs video or sound; the batch holds nothing"):
        fusion("late_transformer").forward_features({})
    with pytest.raises(UsageError, match="choose from intermediate_attention, "):
        create_encoder("avfusion", fusion="early")
    with pytest.raises(UsageError, match=r"model\.arguments\.sound: svfap_test takes video"):
        create_encoder("avfusion", sound={"name": "svfap_test"})
    with pytest.raises(UsageError, match="5 heads do not divide"):
        create_encoder("avfusion_late_transformer_test", heads=5)
    with pytest.raises(MienError, match="takes 32 mel bands"):
        create_encoder("logmel_cnn_test").forward_features({"sound": torch.zeros(1, 10, 20)})
