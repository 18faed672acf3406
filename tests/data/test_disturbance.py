"""Disturbances against Pillow, SciPy and counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from mien.data.augment import Augmented
from mien.data.disturbance import blurred, disturb, solarised
from mien.data.settings import AugmentationSettings
from mien.media.clip import Clip
from mien.models.specification import Inputs, VideoInput

SIZE = 24
STILL = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "flip": 0.0}
FED = VideoInput(frames=3, stride=1, size=SIZE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def frames(low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(low, high, (3, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize(("share", "threshold"), [(0.0, 0), (0.5, 128), (0.9, 230), (1.0, 255)])
@pytest.mark.parametrize("high", [100, 256])
def test_solarised_pictures_are_pillows(share: float, threshold: int, high: int) -> None:
    """Also where nothing is bright: what counts is white, not the brightest pixel."""
    picture = frames(high=high)[0]
    expected = np.asarray(ImageOps.solarize(Image.fromarray(picture), threshold))
    found = solarised(torch.from_numpy(picture).float(), share)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_pictures_are_solarised_before_they_are_normalised() -> None:
    clip = Clip(frames(), np.arange(3) / 25)
    settings = AugmentationSettings(**STILL, solarise=1.0, solarise_from=0.5)
    found = Augmented(Inputs(video=FED), settings)(clip, np.random.default_rng(0))["video"]
    turned = np.stack([np.asarray(ImageOps.solarize(Image.fromarray(frame), 128)) for frame in clip.frames])
    expected = (turned / 255 - np.array(FED.mean)) / np.array(FED.std)
    np.testing.assert_allclose(found.permute(1, 2, 3, 0).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("deviation", [0.6, 1.0, 1.9])
def test_blur_is_scipys_gaussian_cut_at_two_deviations(deviation: float) -> None:
    pictures = torch.from_numpy(frames()).permute(0, 3, 1, 2).float()
    found = blurred(pictures, deviation)
    sigma = (0, 0, deviation, deviation)
    expected = ndimage.gaussian_filter(pictures.numpy().astype(float), sigma, mode="nearest", truncate=2.0)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


def test_holes_dropped_frames_and_single_pixels_are_as_many_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    video = torch.rand(3, 200, 20, 20) * 0.5 + 0.25
    holed = video.clone()
    disturb(holed, AugmentationSettings(holes=1, hole_side=0.2), rng)
    gone = holed == 0
    assert torch.equal(gone, gone[:1, :1].expand_as(gone)), "the same in every frame and colour"
    assert 4 <= gone[0, 0].sum() <= 16, "four pixels wide and high, but for what reaches beyond the border"
    dropped = video.clone()
    disturb(dropped, AugmentationSettings(drop_frames=0.2), rng)
    blank = (dropped == 0).flatten(2).all(2).all(0)
    assert 20 <= blank.sum() <= 60
    assert torch.equal(dropped[:, ~blank], video[:, ~blank])
    salted = video.clone()
    disturb(salted, AugmentationSettings(salt_and_pepper=0.05), rng)
    white, black = (salted == video.max()).all(0), (salted == video.min()).all(0)
    count = 0.05 * video[0].numel() / 2
    assert 0.93 * count < white.sum() <= count, "fewer only where places were drawn twice or turned black"
    assert 0.93 * count < black.sum() <= count
    assert torch.equal(salted[:, ~(white | black)], video[:, ~(white | black)])
