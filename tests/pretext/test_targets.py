"""Pixel targets against NumPy, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.errors import MienError, UsageError
from mien.nn import take_tokens, to_patches
from mien.pretext.targets import MotionTarget, PixelTarget

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


def test_values_on_the_inputs_scale_are_those_that_the_encoder_gets() -> None:
    video, masked = clips()
    targets = PixelTarget(MEAN, STD, standardise="input")(video, masked, TUBELET)
    torch.testing.assert_close(targets[0, 0, (16 + 2 * 4 + 3) * 3 :][:3], video[0, :, 1, 2, 3])


def test_perfect_predictions_give_back_the_pixels() -> None:
    video, masked = clips()
    for standardise in (True, False, "input"):
        target = PixelTarget(MEAN, STD, standardise)
        pixels = target.to_pixels(target(video, masked, TUBELET), video, masked, TUBELET)
        expected = take_tokens(to_patches(target.pixels(video), TUBELET), masked)
        torch.testing.assert_close(pixels, expected, rtol=1e-4, atol=1e-5)


def test_a_flat_tubelet_is_no_division_by_zero() -> None:
    flat = torch.full((1, 3, 2, 4, 4), 0.3)
    assert PixelTarget(MEAN, STD)(flat, torch.tensor([[0]]), TUBELET).abs().max() < 0.2


def test_motion_is_the_difference_of_standardised_frames_by_hand() -> None:
    video, masked = clips()
    plain, motion = PixelTarget(MEAN, STD)(video, masked, TUBELET), MotionTarget(MEAN, STD)(video, masked, TUBELET)
    half = plain.shape[2] // 2
    torch.testing.assert_close(motion[..., :half], plain[..., :half])
    torch.testing.assert_close(motion[..., half:], plain[..., half:] - plain[..., :half])


def test_larger_groups_look_back_to_their_first_frame() -> None:
    video, _ = clips()
    target = MotionTarget(MEAN, STD, standardise=False, group=4)
    whole, pixels = target.difference(video, TUBELET), target.pixels(video)
    torch.testing.assert_close(whole[:, :, 0], pixels[:, :, 0])
    torch.testing.assert_close(whole[:, :, 1:], pixels[:, :, 1:] - pixels[:, :, :1])


def test_the_parts_of_the_motion_loss_add_up() -> None:
    video, masked = clips()
    values = MotionTarget(MEAN, STD)(video, masked, TUBELET)
    predicted = torch.randn(values.shape, generator=torch.Generator().manual_seed(3))
    loss, parts = MotionTarget(MEAN, STD).error(predicted, values)
    torch.testing.assert_close(loss, torch.nn.functional.mse_loss(predicted, values))
    torch.testing.assert_close(loss, (parts["appearance"] + parts["motion"]) / 2)
    weighted, _ = MotionTarget(MEAN, STD, motion_weight=0.3).error(predicted, values)
    torch.testing.assert_close(weighted, 0.7 * parts["appearance"] + 0.3 * parts["motion"])


def test_perfect_motion_gives_back_the_pixels() -> None:
    video, masked = clips()
    target = MotionTarget(MEAN, STD)
    pixels = target.to_pixels(target(video, masked, TUBELET), video, masked, TUBELET)
    expected = take_tokens(to_patches(target.pixels(video), TUBELET), masked)
    torch.testing.assert_close(pixels, expected, rtol=1e-4, atol=1e-5)


def test_groups_and_weights_that_make_no_sense_are_refused() -> None:
    video, masked = clips()
    with pytest.raises(MienError, match="cannot be cut into groups of 3"):
        MotionTarget(MEAN, STD, group=3)(video, masked, TUBELET)
    with pytest.raises(UsageError, match="not between 0 and 1"):
        MotionTarget(MEAN, STD, motion_weight=1.5)
    with pytest.raises(UsageError, match="needs groups of 2 frames"):
        MotionTarget(MEAN, STD, group=4, motion_weight=0.5)(video, masked, TUBELET)
