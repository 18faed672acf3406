"""RandAugment: strengths by the published formulas, each operation against its own arithmetic, equal for all frames."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from mien.data import randaugment
from mien.data.augment import Augmented
from mien.data.randaugment import OPERATIONS, apply, rand_augment, strength
from mien.data.settings import AugmentationSettings, RandAugment
from mien.media.clip import Clip
from mien.models.specification import Inputs, VideoInput

PUBLISHED = RandAugment(operations=4)


def still(height: int = 48, width: int = 64, colours: int = 3) -> NDArray[np.uint8]:
    """The same smooth picture four times, away from black and white."""
    rng = np.random.default_rng(0)
    picture = ndimage.gaussian_filter(rng.uniform(0, 255, (height, width, colours)), (4, 4, 0))
    picture = 60 + 130 * (picture - picture.min()) / np.ptp(picture)
    return np.broadcast_to(picture.astype(np.uint8), (4, height, width, colours)).copy()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotate", -21.0),
        ("posterize", 2),
        ("solarize", 256 - 179),
        ("solarize_add", 77),
        ("color", 1 - 0.63),
        ("sharpness", 1 - 0.63),
        ("shear_x", -0.21),
        ("translate_y", -0.315),
        ("invert", 0.0),
    ],
)
def test_strength_at_magnitude_seven(name: str, value: float) -> None:
    assert strength(name, 7.0, -1.0) == pytest.approx(value)


def test_tables_of_levels() -> None:
    frames = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    levels = np.arange(256)
    expected = {
        "invert": 255 - levels,
        "posterize": levels // 64 * 64,
        "solarize": np.where(levels < 77, levels, 255 - levels),
        "solarize_add": np.where(levels < 128, np.minimum(levels + 77, 255), levels),
        "brightness": np.floor(levels * 1.63).clip(0, 255),
    }
    for name, table in expected.items():
        changed = apply(name, frames, 7.0, 1.0).ravel().astype(int)
        assert np.abs(changed - table).max() <= 1 if name == "brightness" else (changed == table).all(), name


def test_shifts_move_by_a_share_of_the_side_and_fill_with_grey() -> None:
    frames = still()
    moved = apply("translate_x", frames, 10.0 / 0.45 / 64 * 8, 1.0)  # eight columns
    np.testing.assert_array_equal(moved[:, :, :-8], frames[:, :, 8:])
    assert (moved[:, :, -8:] == 128).all()


def test_rotation_is_that_of_scipy_in_the_middle() -> None:
    frames = still()
    turned = apply("rotate", frames, 5.0, 1.0)[0, 14:34, 20:44]
    reference = ndimage.rotate(frames[0].astype(float), 15.0, reshape=False, order=3)[14:34, 20:44]
    assert np.abs(turned - reference).max() < 4


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("colours", [1, 3])
def test_every_operation_treats_all_frames_alike(name: str, colours: int) -> None:
    frames = still(colours=colours)
    before = frames.copy()
    changed = apply(name, frames, 7.0, 1.0)
    assert changed.shape == frames.shape
    assert changed.dtype == np.uint8
    assert (changed == changed[:1]).all()
    assert (frames == before).all()
    assert name in {"color"} or (changed != frames).any()


def test_draws_half_of_the_operations_evenly_with_magnitudes_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, float, float]] = []

    def note(name: str, frames: NDArray[np.uint8], magnitude: float, sign: float) -> NDArray[np.uint8]:
        calls.append((name, magnitude, sign))
        return frames

    monkeypatch.setattr(randaugment, "apply", note)
    rng = np.random.default_rng(0)
    for _ in range(3000):
        rand_augment(still(4, 4), PUBLISHED, rng)
    assert 5800 < len(calls) < 6200
    counts = np.unique([name for name, _, _ in calls], return_counts=True)[1]
    assert len(counts) == 15
    assert counts.min() > 330
    assert counts.max() < 470
    magnitudes = np.array([magnitude for _, magnitude, _ in calls])
    assert magnitudes.mean() == pytest.approx(7.0, abs=0.03)
    assert magnitudes.std() == pytest.approx(0.5, abs=0.03)
    assert abs(np.mean([sign for _, _, sign in calls])) < 0.05


def test_the_setting_reaches_the_training_transform() -> None:
    frames = still(48, 48)
    clip = Clip(frames, np.arange(4) / 25)
    settings = AugmentationSettings(rand=PUBLISHED, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0)
    inputs = Inputs(video=VideoInput(frames=4, stride=1, size=48, mean=(0.0,) * 3, std=(1.0,) * 3))
    videos = [Augmented(inputs, settings)(clip, np.random.default_rng(seed))["video"] for seed in (1, 1, 2, 3)]
    assert (videos[0] == videos[1]).all()
    assert (videos[0] != videos[2]).any() or (videos[0] != videos[3]).any()
    assert all((video == video[:, :1]).all() for video in videos)
