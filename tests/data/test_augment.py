"""Augmentation: repeatable, the same for all frames, and each change against a plain version of itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from pydantic import ValidationError

from mien.data.augment import Augmented, Deterministic
from mien.data.boxes import area_box
from mien.data.dataset import Item
from mien.data.finish import draw_colour, draw_hole, fill, finish, recolour
from mien.data.loader import collate
from mien.data.settings import AugmentationSettings
from mien.media.clip import Clip
from mien.models.specification import Inputs, SoundInput, VideoInput

SIZE = 32
PLAIN = VideoInput(frames=4, stride=1, size=SIZE, mean=(0.0,) * 3, std=(1.0,) * 3)
STILL = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "flip": 0.0}


def settings(**changes: object) -> AugmentationSettings:
    return AugmentationSettings.model_validate({**STILL, **changes})


def clip(height: int = SIZE, width: int = SIZE, still: bool = True) -> Clip:
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (1 if still else 4, height, width, 3), dtype=np.uint8)
    return Clip(np.ascontiguousarray(np.broadcast_to(frames, (4, height, width, 3))), np.arange(4) / 25)


def test_nothing_asked_for_is_the_deterministic_path() -> None:
    inputs = Inputs(video=PLAIN, sound=SoundInput(rate=8000, features="waveform"))
    loud = Clip(clip().frames, clip().times, np.ones(2000, np.float32), 8000)
    rng = np.random.default_rng(0)
    expected = Deterministic(inputs)(loud, rng)
    tensors = Augmented(inputs, settings())(loud, rng)
    assert tensors.keys() == expected.keys()
    for name in expected:
        assert torch.equal(tensors[name], expected[name]), name


def test_shrinking_by_more_than_half_reads_every_pixel_as_evaluation_does() -> None:
    inputs = Inputs(video=PLAIN)
    noise = clip(4 * SIZE, 4 * SIZE)
    expected = Deterministic(inputs)(noise, np.random.default_rng(0))["video"]
    found = Augmented(inputs, settings())(noise, np.random.default_rng(0))["video"]
    assert torch.allclose(found, expected, atol=1.5 / 255)  # training keeps bytes while it resizes
    assert expected.std() < 0.1  # of noise whose own deviation is 0.29


EVERYTHING = AugmentationSettings(brightness=0.4, contrast=0.4, saturation=0.4, grey=0.3, erase=0.5)


def test_equal_generators_give_equal_tensors() -> None:
    change = Augmented(Inputs(video=PLAIN), EVERYTHING)
    first, second, other = (change(clip(), np.random.default_rng(seed))["video"] for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_still_clip_stays_still() -> None:
    change = Augmented(Inputs(video=PLAIN), EVERYTHING.model_copy(update={"erase": 0.0}))
    for seed in range(20):
        video = change(clip(), np.random.default_rng(seed))["video"]
        assert torch.equal(video, video[:, :1].expand_as(video))


def test_flip_mirrors_about_half_of_the_clips() -> None:
    change = Augmented(Inputs(video=PLAIN), settings(flip=0.5))
    plain = Deterministic(Inputs(video=PLAIN))(clip(), np.random.default_rng(0))["video"]
    mirrored = 0
    for seed in range(200):
        video = change(clip(), np.random.default_rng(seed))["video"]
        assert torch.equal(video, plain) or torch.equal(video, plain.flip(-1))
        mirrored += torch.equal(video, plain.flip(-1))
    assert 70 < mirrored < 130


def test_crop_equals_resizing_the_box() -> None:
    change = Augmented(Inputs(video=PLAIN), settings(crop_scale=(0.4, 0.4)))
    source = clip(64, 64, still=False)
    rng = np.random.default_rng(11)
    top, left, height, width = area_box(64, 64, (0.4, 0.4), change.settings.crop_ratio, np.random.default_rng(11))
    box = torch.from_numpy(source.frames[:, top : top + height, left : left + width].copy()).permute(0, 3, 1, 2) / 255
    expected = torch.nn.functional.interpolate(box, (SIZE, SIZE), mode="bilinear").transpose(0, 1)
    torch.testing.assert_close(change(source, rng)["video"], expected, atol=1.01 / 255, rtol=0)  # whole levels


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_colour_changes_are_those_of_pillow(name: str, enhancer: type) -> None:
    """Pillow's enhancers blend with black, the mean grey and the grey picture, rounded to whole levels."""
    frames = (clip().frames // 3 + 80).astype(np.uint8)  # far enough from both ends that nothing is clipped
    choice = settings(**{name: 0.3})
    planes = torch.from_numpy(frames).permute(3, 0, 1, 2).float()
    colour = draw_colour(choice, np.random.default_rng(4))
    assert colour is not None
    draws = 1.0 + 0.3 * np.random.default_rng(4).uniform(-1, 1, 3)
    factor = draws[["brightness", "contrast", "saturation"].index(name)]
    changed = recolour(planes, colour)[:, 0].permute(1, 2, 0).numpy()
    expected = np.asarray(enhancer(Image.fromarray(frames[0])).enhance(factor))
    assert np.abs(changed - expected).max() < 2.0


@pytest.mark.parametrize("channels", ["bgr", "grey"])
def test_channel_order_does_not_change_colours(channels: str) -> None:
    choice = settings(brightness=0.3, contrast=0.3, saturation=0.3)
    grey = {"mean": (0.0,), "std": (1.0,)} if channels == "grey" else {}
    other = PLAIN.model_copy(update={"channels": channels, **grey})
    # Half range: no value is clipped, so that luma commutes with the change.
    dim = Clip((clip().frames // 3 + 60).astype(np.uint8), clip().times)
    rgb = Augmented(Inputs(video=PLAIN), choice)(dim, np.random.default_rng(2))["video"]
    changed = Augmented(Inputs(video=other), choice)(dim, np.random.default_rng(2))["video"]
    luma = torch.einsum("cthw,c->thw", rgb, torch.tensor([0.299, 0.587, 0.114]))[None]
    torch.testing.assert_close(changed, luma if channels == "grey" else rgb.flip(0), atol=1e-5, rtol=0)


def test_grey_takes_the_colour_out() -> None:
    video = Augmented(Inputs(video=PLAIN), settings(grey=1.0))(clip(), np.random.default_rng(0))["video"]
    torch.testing.assert_close(video[0], video[1], atol=1e-5, rtol=0)
    assert video.std() > 0.05


def test_erasing_fills_one_box_with_standard_noise() -> None:
    video = torch.full((3, 4, 64, 64), 9.0)
    fill(video, draw_hole(64, settings(erase=1.0, erase_scale=(0.25, 0.25)), np.random.default_rng(1)))
    hit = video != 9.0
    assert torch.equal(hit, hit[:1, :1].expand_as(hit))
    rows, columns = hit[0, 0].any(1).sum().item(), hit[0, 0].any(0).sum().item()
    assert hit[0, 0].sum() == rows * columns
    assert 0.23 < rows * columns / 64**2 < 0.27
    noise = video[hit]
    assert abs(float(noise.mean())) < 0.05
    assert abs(float(noise.std()) - 1) < 0.05


EMPTY = Clip(np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0))


def test_absent_pictures_stay_absent() -> None:
    tensors = Augmented(Inputs(video=PLAIN), EVERYTHING)(EMPTY, np.random.default_rng(0))
    assert not tensors["video_present"].any()


NORMAL = PLAIN.model_copy(update={"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)})
FED = {
    "rgb": NORMAL,
    "bgr": NORMAL.model_copy(update={"channels": "bgr"}),
    "grey": NORMAL.model_copy(update={"channels": "grey", "mean": (0.4,), "std": (0.2,)}),
    "centred": NORMAL.model_copy(update={"centre": "clip"}),
}


@pytest.mark.parametrize("name", FED)
@pytest.mark.parametrize("changes", [{}, {"blur": 0.5}, {"holes": 2}], ids=["bytes", "blur", "holes"])
def test_what_is_left_for_later_is_what_is_done_at_once(name: str, changes: dict[str, object]) -> None:
    """But for rounding; bit for bit where no colour changes. Batches keep clips without picture."""
    inputs = Inputs(video=FED[name])
    choice = EVERYTHING.model_copy(update={"flip": 0.5, "brightness": 0.3, "grey": 0.2, **changes})
    clips = [clip(48, 40, still=False)] * 6 + [EMPTY]
    now = [Augmented(inputs, choice)(made, np.random.default_rng(at)) for at, made in enumerate(clips)]
    now.append(Augmented(inputs, settings())(clips[0], np.random.default_rng(0)))
    later = [Augmented(inputs, choice, later=True)(made, np.random.default_rng(at)) for at, made in enumerate(clips)]
    if changes:  # nothing can wait
        assert all("video_colour" not in made and made["video"].dtype == torch.float32 for made in later)
        assert all(torch.equal(one["video"], other["video"]) for one, other in zip(now, later, strict=False))
        return
    later.append(Augmented(inputs, settings(), later=True)(clips[0], np.random.default_rng(0)))
    batch = collate([Item(str(at), (made,)) for at, made in enumerate(later)])
    assert batch["video"].dtype == torch.uint8
    kept = {key: value for key, value in batch.items() if isinstance(value, torch.Tensor)}
    done = finish(kept, FED[name], "cpu")
    assert done.keys() == {"video", "video_present", "clip"}
    for one, other in zip(now, done["video"], strict=True):
        torch.testing.assert_close(one["video"], other, atol=2e-6, rtol=1e-6)
    assert torch.equal(now[-1]["video"], done["video"][-1])
    assert torch.equal(finish(done, FED[name], "cpu")["video"], done["video"])


@pytest.mark.parametrize("wrong", [{"crop_scale": (0.9, 0.2)}, {"flip": 1.5}, {"brightness": 1.0}, {"colour": 0.1}])
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AugmentationSettings.model_validate(wrong)
