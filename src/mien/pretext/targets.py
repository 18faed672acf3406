"""What a masked autoencoder predicts for every masked tubelet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mien.nn import Size3, take_tokens, to_patches

EPSILON = 1e-6


class Target(nn.Module):
    """Target values of masked tubelets.

    Args:
        mean, std: per colour, as the loader used them to normalise values in 0..1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(-1, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(-1, 1, 1, 1), persistent=False)

    def forward(self, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """Targets ``(B, K, p0·p1·p2·C)``, order (frame, row, column, colour), of tokens ``masked`` ``(B, K)``."""
        raise NotImplementedError

    def to_pixels(self, predicted: Tensor, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """Predictions as pixels in 0..1, ``(B, K, C, p0, p1, p2)``, for looking at."""
        raise NotImplementedError

    def pixels(self, video: Tensor) -> Tensor:
        """Undo the loader's normalisation: values in 0..1, float32, of a video ``(B, C, T, H, W)``."""
        return video.float() * self.std + self.mean


class PixelTarget(Target):
    """The pixels themselves, by default standardised per tubelet and colour.

    ``(u - mean(u)) / (sqrt(var(u)) + 1e-6)`` over the p0·p1·p2 values of one colour, with the unbiased variance
    (He et al., Masked Autoencoders, 2022, section 4; VideoMAE).

    Args:
        mean, std: see ``Target``.
        standardise: False predicts raw values in 0..1.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], standardise: bool = True) -> None:
        super().__init__(mean, std)
        self.standardise = standardise

    def forward(self, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """See ``Target.forward``."""
        values = self._values(video, masked, tubelet)
        if self.standardise:
            mean, deviation = _moments(values)
            values = (values - mean) / deviation
        return values.transpose(2, 3).flatten(2)

    def to_pixels(self, predicted: Tensor, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """See ``Target.to_pixels``; brightness and contrast of a standardised tubelet come from the true one."""
        channels = video.shape[1]
        values = predicted.float().unflatten(2, (-1, channels)).transpose(2, 3)
        if self.standardise:
            mean, deviation = _moments(self._values(video, masked, tubelet))
            values = values * deviation + mean
        return values.unflatten(3, tubelet)

    def _values(self, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """Pixels of masked tubelets ``(B, K, C, p0·p1·p2)``."""
        return take_tokens(to_patches(self.pixels(video), tubelet), masked).flatten(3)


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and guarded standard deviation over the last axis, which is kept."""
    variance, mean = torch.var_mean(values, dim=-1, keepdim=True)
    return mean, variance.sqrt() + EPSILON
