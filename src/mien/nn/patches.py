"""Video ↔ tubelets: blocks of a few frames by a few pixels that become one token each."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import MienError

# Frames, rows, columns: of one tubelet, or numbers of tubelets along each axis of a clip.
Size3 = tuple[int, int, int]


def grid_of(video: Tensor, tubelet: Size3) -> Size3:
    """Tubelets along time, height and width of a video ``(B, C, T, H, W)``; ``MienError`` unless they fit exactly."""
    grid = []
    for name, length, side in zip(("frames", "rows", "columns"), video.shape[2:], tubelet, strict=True):
        if length < side or length % side:
            raise MienError(f"{length} {name} cannot be cut into pieces of {side}; give a multiple of {side}")
        grid.append(length // side)
    return grid[0], grid[1], grid[2]


def to_patches(video: Tensor, tubelet: Size3) -> Tensor:
    """Cut a video ``(B, C, T, H, W)`` into tubelets ``(B, N, C, p0, p1, p2)``, in (time, row, column) order."""
    t, h, w = grid_of(video, tubelet)
    batch, channels = video.shape[:2]
    cut = video.reshape(batch, channels, t, tubelet[0], h, tubelet[1], w, tubelet[2])
    return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch, t * h * w, channels, *tubelet)


def from_patches(patches: Tensor, grid: Size3) -> Tensor:
    """The inverse of ``to_patches``: ``(B, N, C, p0, p1, p2)`` → ``(B, C, T, H, W)``."""
    batch, _, channels, p0, p1, p2 = patches.shape
    t, h, w = grid
    cut = patches.reshape(batch, t, h, w, channels, p0, p1, p2).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return cut.reshape(batch, channels, t * p0, h * p1, w * p2)


def take_tokens(tokens: Tensor, index: Tensor) -> Tensor:
    """Tokens ``(B, N, ...)`` at ``index`` ``(B, K)`` → ``(B, K, ...)``; B of ``tokens`` may be 1 (shared)."""
    rest = tokens.shape[2:]
    wide = index.reshape(*index.shape, *(1,) * len(rest)).expand(*index.shape, *rest)
    return tokens.expand(index.shape[0], *tokens.shape[1:]).gather(1, wide)


class TubeletEmbedding(nn.Conv3d):
    """A convolution with kernel = stride = tubelet, done as one matrix product over tubelets.

    The product lets masked pretraining embed only what is visible. Weight ``(D, C, p0, p1, p2)`` and start values are
    those of the convolution.

    Args:
        channels: C of the video.
        dim: token width D.
        tubelet: frames, rows and columns of one token.
    """

    def __init__(self, channels: int, dim: int, tubelet: Size3) -> None:
        super().__init__(channels, dim, kernel_size=tubelet, stride=tubelet)
        self.tubelet = tubelet

    def forward(self, video: Tensor, keep: Tensor | None = None) -> Tensor:
        """Video ``(B, C, T, H, W)`` → tokens ``(B, N, D)``, or only those at ``keep`` ``(B, K)`` → ``(B, K, D)``."""
        patches = to_patches(video, self.tubelet).flatten(2)
        if keep is not None:
            patches = take_tokens(patches, keep)
        return F.linear(patches, self.weight.flatten(1), self.bias)
