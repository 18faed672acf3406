"""Pixel targets against NumPy, written out."""

from __future__ import annotations

import numpy as np
import torch

from mien.nn import take_tokens, to_patches
from mien.pretext.targets import PixelTarget

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
TUBELET = (2, 4, 4)


def clips() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 8, 8, generator=generator), torch.tensor([[0, 3, 7], [1, 2, 6]])


def test_standardised_values_of_one_tubelet_by_hand() -> None:
    video, masked = clips()
    targets = PixelTarget(MEAN, STD)(video, masked, TUBELET)
    assert targets.shape == (2, 3, 96)
    # token 6 of clip 1: second slice, second row, first column
    pixels = video[1, :, 2:4, 4:8, 0:4].numpy() * np.reshape(STD, (3, 1, 1, 1)) + np.reshape(MEAN, (3, 1, 1, 1))
    colours = pixels.reshape(3, 32)
    expected = (colours - colours.mean(1, keepdims=True)) / (colours.std(1, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(targets[1, 2].numpy(), expected.T.flatten(), rtol=1e-5, atol=1e-5)


def test_raw_values_are_pixels_in_order_frame_row_column_colour() -> None:
    video, masked = clips()
    targets = PixelTarget(MEAN, STD, standardise=False)(video, masked, TUBELET)
    pixel = video[0, :, 1, 2, 3] * torch.tensor(STD) + torch.tensor(MEAN)  # token 0, frame 1, row 2, column 3
    place = (1 * 16 + 2 * 4 + 3) * 3
    torch.testing.assert_close(targets[0, 0, place : place + 3], pixel)


def test_perfect_predictions_give_back_the_pixels() -> None:
    video, masked = clips()
    for standardise in (True, False):
        target = PixelTarget(MEAN, STD, standardise)
        pixels = target.to_pixels(target(video, masked, TUBELET), video, masked, TUBELET)
        expected = take_tokens(to_patches(target.pixels(video), TUBELET), masked)
        torch.testing.assert_close(pixels, expected, rtol=1e-4, atol=1e-5)


def test_a_flat_tubelet_is_no_division_by_zero() -> None:
    flat = torch.full((1, 3, 2, 4, 4), 0.3)
    assert PixelTarget(MEAN, STD)(flat, torch.tensor([[0]]), TUBELET).abs().max() < 0.2
