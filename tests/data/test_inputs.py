"""The path from clip to tensors: against plain NumPy, PIL and hand-placed sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mien.data.inputs import sound_span, square, to_tensors
from mien.errors import MienError
from mien.media.clip import Clip
from mien.models.specification import Inputs, SoundInput, VideoInput

RNG = np.random.default_rng(0)


def pictures(count: int = 4, height: int = 32, width: int = 32, channels: int = 3) -> Clip:
    frames = RNG.integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    return Clip(frames, np.arange(count) / 25)


def video_input(**changes: object) -> VideoInput:
    return VideoInput.model_validate({"frames": 4, "stride": 1, "size": 32, **changes})


def test_normalises_as_written() -> None:
    clip = pictures()
    tensors = to_tensors(clip, Inputs(video=video_input(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1))))
    expected = (clip.frames / 255.0 - np.array([0.4, 0.5, 0.6])) / np.array([0.2, 0.3, 0.1])
    assert tensors["video"].shape == (3, 4, 32, 32)
    np.testing.assert_allclose(tensors["video"].numpy(), expected.transpose(3, 0, 1, 2), atol=2e-6)
    assert tensors["video_present"].tolist() == [True] * 4


def test_channel_orders() -> None:
    clip = pictures()
    plain = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    rgb = to_tensors(clip, Inputs(video=video_input(**plain)))["video"]
    bgr = to_tensors(clip, Inputs(video=video_input(channels="bgr", **plain)))["video"]
    grey = to_tensors(clip, Inputs(video=video_input(channels="grey", mean=(0.0,), std=(1.0,))))["video"]
    assert torch.equal(bgr, rgb.flip(0))
    expected = np.stack([np.asarray(Image.fromarray(frame).convert("L")) for frame in clip.frames]) / 255
    np.testing.assert_allclose(grey[0].numpy(), expected, atol=1.01 / 255)  # PIL truncates to whole grey levels


def test_grey_recordings_serve_colour_models() -> None:
    clip = pictures(channels=1)
    video = to_tensors(clip, Inputs(video=video_input(mean=(0.0,) * 3, std=(1.0,) * 3)))["video"]
    assert torch.equal(video[0], video[2])
    np.testing.assert_allclose(video[1].numpy(), clip.frames[..., 0] / 255.0, atol=1e-6)


@pytest.mark.parametrize("size", [16, 48])
def test_resizes_like_pillow(size: int) -> None:
    """Pillow's bilinear filter is antialiased too; it rounds to whole levels."""
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(1, 32, 32, 3).astype(np.uint8)
    tensors = to_tensors(
        Clip(smooth, np.zeros(1)), Inputs(video=video_input(frames=1, size=size, mean=(0.0,) * 3, std=(1.0,) * 3))
    )
    expected = np.asarray(Image.fromarray(smooth[0]).resize((size, size), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(tensors["video"][:, 0].numpy().transpose(1, 2, 0) * 255, expected, atol=1.0)


def test_pictures_that_are_not_square_lose_their_ends() -> None:
    clip = pictures(height=32, width=50)
    assert np.array_equal(square(clip.frames), clip.frames[:, :, 9:41])
    assert np.array_equal(square(clip.frames, 1.0), clip.frames[:, :, 18:])
    assert np.array_equal(square(clip.frames.transpose(0, 2, 1, 3), 0.0), clip.frames.transpose(0, 2, 1, 3)[:, :32])


def test_wrong_number_of_frames_is_refused() -> None:
    with pytest.raises(MienError, match=r"3 frame\(s\), the model takes 4"):
        to_tensors(pictures(3), Inputs(video=video_input()))


def test_absent_picture_is_zero_and_marked() -> None:
    clip = Clip(np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0), np.ones(800, np.float32), 8000)
    sound = SoundInput(rate=8000, features="waveform")
    tensors = to_tensors(clip, Inputs(video=video_input(), sound=sound))
    assert tensors["video"].shape == (3, 4, 32, 32)
    assert not tensors["video"].any()
    assert not tensors["video_present"].any()
    assert tensors["sound"].shape == (800,)
    assert tensors["sound_present"].all()


def test_frames_that_were_not_seen_stay_marked() -> None:
    clip = Clip(pictures().frames, np.arange(4) / 25, present=np.array([True, False, True, True]))
    assert to_tensors(clip, Inputs(video=video_input()))["video_present"].tolist() == [True, False, True, True]


def test_sound_of_the_frames_is_cut_out_and_aligned() -> None:
    """Frames at 1.00..1.12 s and sound from 0.5 s: 0.16 s beginning 4000 samples in."""
    samples = np.arange(16000, dtype=np.float32)
    clip = Clip(pictures().frames, 1.0 + np.arange(4) / 25, samples, 8000, 0.5)
    tensors = to_tensors(clip, Inputs(sound=SoundInput(rate=8000, features="waveform")))
    assert tensors["sound"].tolist() == samples[4000 : 4000 + 1280].tolist()
    assert tensors["sound_present"].all()


def test_sound_that_begins_late_or_ends_early_is_marked() -> None:
    clip = Clip(pictures().frames, np.arange(4) / 25, np.ones(400, np.float32), 8000, 0.05)
    tensors = to_tensors(clip, Inputs(sound=SoundInput(rate=8000, features="waveform")))
    expected = np.zeros(1280)
    expected[400:800] = 1
    assert tensors["sound"].tolist() == expected.tolist()
    assert tensors["sound_present"].tolist() == expected.astype(bool).tolist()


def test_fixed_length_and_no_sound() -> None:
    sound = SoundInput(rate=8000, features="waveform", options={"seconds": 0.5})
    tensors = to_tensors(pictures(), Inputs(sound=sound))
    assert tensors["sound"].shape == (4000,)
    assert not tensors["sound"].any()
    assert not tensors["sound_present"].any()
    assert sound_span(np.array([2.0, 2.1]), sound) == (2.0, 2.5)


def test_sound_at_another_rate_is_refused() -> None:
    clip = Clip(pictures().frames, np.arange(4) / 25, np.ones(400, np.float32), 16000)
    with pytest.raises(MienError, match="16000 Hz, the model takes 8000"):
        to_tensors(clip, Inputs(sound=SoundInput(rate=8000, features="waveform")))


@pytest.mark.parametrize("features", ["log_mel", "mfcc"])
def test_sound_features_keep_their_mask(features: str) -> None:
    samples = RNG.standard_normal(8000).astype(np.float32)
    clip = Clip(pictures(25).frames, np.arange(25) / 25, samples[:4000], 8000)
    tensors = to_tensors(clip, Inputs(sound=SoundInput.model_validate({"rate": 8000, "features": features})))
    present = tensors["sound_present"].numpy()
    assert tensors["sound"].ndim == 2
    assert present.shape == tensors["sound"].shape[1:]
    assert abs(present.mean() - 0.5) <= 1 / len(present)
    assert present[: len(present) // 2 - 1].all()


def test_options_that_do_not_exist_are_refused() -> None:
    clip = Clip(pictures().frames, np.arange(4) / 25, np.ones(4000, np.float32), 8000)
    with pytest.raises(MienError, match="do not fit log_mel"):
        to_tensors(clip, Inputs(sound=SoundInput(rate=8000, options={"colour": 3})))
