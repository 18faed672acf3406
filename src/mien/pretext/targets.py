"""What a masked autoencoder predicts for every masked tubelet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import MienError, UsageError
from mien.nn import Size3, from_patches, grid_of, take_tokens, to_patches

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

    def motion(self, pixels: Tensor) -> Tensor | None:
        """Pictures ``(B, C, T, H, W)`` of what moves in values in 0..1, around grey; None where it is not predicted."""
        return None

    def error(self, predicted: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of predictions, float32 scalar, and detached scalars worth logging: the mean squared error."""
        return F.mse_loss(predicted.float(), target), {}

    def pixels(self, video: Tensor) -> Tensor:
        """Undo the loader's normalisation: values in 0..1, float32, of a video ``(B, C, T, H, W)``."""
        return video.float() * self.std + self.mean


class PixelTarget(Target):
    """The pixels themselves, by default standardised per tubelet and colour.

    ``(u - mean(u)) / (sqrt(var(u)) + 1e-6)`` over the p0·p1·p2 values of one colour, with the unbiased variance
    (He et al., Masked Autoencoders, 2022, section 4; VideoMAE).

    Args:
        mean, std: see ``Target``.
        standardise: ``True``, per tubelet and colour; ``False`` predicts raw values in 0..1; ``"input"`` predicts what
            the loader gives, on its scale. Where most of a picture stands still (``centre: clip``), standardising blows
            the noise of still tubelets up to full size.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], standardise: bool | Literal["input"] = True
    ) -> None:
        super().__init__(mean, std)
        self.standardise = standardise is True
        self.on_input_scale = standardise == "input"

    def values(self, video: Tensor) -> Tensor:
        """What is predicted before tubelets are standardised, float32 ``(B, C, T, H, W)``."""
        return video.float() if self.on_input_scale else self.pixels(video)

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
        elif self.on_input_scale:
            values = values * self.std.reshape(-1, 1) + self.mean.reshape(-1, 1)
        return values.unflatten(3, tubelet)

    def _values(self, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """Values of masked tubelets ``(B, K, C, p0·p1·p2)``."""
        return take_tokens(to_patches(self.values(video), tubelet), masked).flatten(3)


class MotionTarget(PixelTarget):
    """Appearance of the first frame of every group, and the difference of the others to it (MAE-DFER, section 3.2).

    The clip is standardised per tubelet and colour as in ``PixelTarget``; then every frame that does not open a group
    of ``group`` frames has the group's first frame taken off. With groups of one tubelet of two frames, the first half
    of the values of a token is appearance and the second half motion, weighted equally by a plain mean.

    Args:
        mean, std, standardise: see ``PixelTarget``.
        group: frames per group, a divisor of the clip's length.
        motion_weight: w of ``(1 - w) * appearance + w * motion``, each a mean squared error; None is the plain mean
            over all values. Needs groups of one tubelet.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        standardise: bool | Literal["input"] = True,
        group: int = 2,
        motion_weight: float | None = None,
    ) -> None:
        super().__init__(mean, std, standardise)
        if motion_weight is not None and not 0.0 <= motion_weight <= 1.0:
            raise UsageError(f"motion_weight {motion_weight} is not between 0 and 1; leave it out for equal weights")
        self.group = group
        self.motion_weight = motion_weight

    def forward(self, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """See ``Target.forward``."""
        patches = to_patches(self.difference(video, tubelet), tubelet)
        if self.motion_weight is not None and self.group != tubelet[0]:
            raise UsageError(f"motion_weight needs groups of {tubelet[0]} frames (one tubelet), not {self.group}")
        return take_tokens(patches, masked).flatten(3).transpose(2, 3).flatten(2)

    def error(self, predicted: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Target.error``; the parts are logged where a token is one group."""
        squared = (predicted.float() - target).square()
        first = squared.shape[2] // self.group
        appearance, motion = squared[:, :, :first].mean(), squared[:, :, first:].mean()
        parts = {"appearance": appearance.detach(), "motion": motion.detach()}
        if self.motion_weight is None:
            return squared.mean(), parts
        return (1 - self.motion_weight) * appearance + self.motion_weight * motion, parts

    def difference(self, video: Tensor, tubelet: Size3) -> Tensor:
        """The whole target as a video ``(B, C, T, H, W)``."""
        patches = to_patches(self.values(video), tubelet)
        if self.standardise:
            mean, deviation = _moments(patches.flatten(3))
            patches = (patches - mean[..., None, None]) / deviation[..., None, None]
        whole = from_patches(patches, grid_of(video, tubelet))
        if whole.shape[2] % self.group:
            raise MienError(f"{whole.shape[2]} frames cannot be cut into groups of {self.group}; take a divisor")
        groups = whole.unflatten(2, (-1, self.group))
        return torch.cat((groups[:, :, :, :1], groups[:, :, :, 1:] - groups[:, :, :, :1]), dim=3).flatten(2, 3)

    def motion(self, pixels: Tensor) -> Tensor:
        """See ``Target.motion``: twice the difference of a group's last frame to its first, at all its frames."""
        groups = pixels.unflatten(2, (-1, self.group))
        moved = 0.5 + 2 * (groups[:, :, :, -1:] - groups[:, :, :, :1])
        return moved.expand_as(groups).flatten(2, 3)

    def to_pixels(self, predicted: Tensor, video: Tensor, masked: Tensor, tubelet: Size3) -> Tensor:
        """See ``Target.to_pixels``; needs groups of one tubelet. Motion is added to the predicted first frame."""
        if self.group != tubelet[0]:
            raise MienError(f"pictures need groups of {tubelet[0]} frames (one tubelet), not {self.group}")
        values = predicted.float().unflatten(2, (tubelet[0], -1, video.shape[1]))
        whole = torch.cat((values[:, :, :1], values[:, :, 1:] + values[:, :, :1]), dim=2)
        return super().to_pixels(whole.flatten(2), video, masked, tubelet)


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and guarded standard deviation over the last axis, which is kept."""
    variance, mean = torch.var_mean(values, dim=-1, keepdim=True)
    return mean, variance.sqrt() + EPSILON
