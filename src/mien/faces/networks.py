"""The three networks of MTCNN.

K. Zhang, Z. Zhang, Z. Li, Y. Qiao: "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016, arXiv 1604.02878, figure 2. Each answers whether its window
holds a face and how the four sides of the box should move, as shares of the box; the last one also the landmarks.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn


class HalvingPool(nn.Module):
    """Maximum over windows of 2 or 3 pixels every 2 pixels; what is left over at the end is pooled alone.

    Equal to ``nn.MaxPool2d(kernel, 2, ceil_mode=True)`` and many times as fast on one CPU thread, where the stock layer
    would take half of a whole detection.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, h, w)``, h = ceil((H - kernel) / 2) + 1 and w alike."""
        return self._pooled(self._pooled(x, -2), -1)

    def _pooled(self, x: Tensor, dim: int) -> Tensor:
        size = x.shape[dim]
        count = -(-(size - self.kernel) // 2) + 1
        missing = 2 * (count - 1) + self.kernel - size
        if missing:  # the last window sees the last pixel again, which changes no maximum
            x = torch.cat([x, *[x.narrow(dim, size - 1, 1)] * missing], dim)
        pooled = x.narrow(dim, 0, 2 * count - 1)
        step = [slice(None)] * x.dim()
        step[dim] = slice(None, None, 2)
        pooled = pooled[tuple(step)]
        for shift in range(1, self.kernel):
            pooled = torch.maximum(pooled, x.narrow(dim, shift, 2 * count - 1)[tuple(step)])
        return pooled


def _convolutions(
    channels: tuple[int, ...], kernels: tuple[int, ...], pools: tuple[nn.Module | None, ...]
) -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (kernel, pool) in enumerate(zip(kernels, pools, strict=True), start=1):
        layers[f"conv{i}"] = nn.Conv2d(channels[i - 1], channels[i], kernel)
        layers[f"act{i}"] = nn.PReLU(channels[i])
        if pool is not None:
            layers[f"pool{i}"] = pool
    return nn.Sequential(layers)


class ProposalNet(nn.Module):
    """P-Net: fully convolutional, windows of 12 px every 2 px.

    Pictures ``(N, 3, H, W)`` → face probability ``(N, H', W')`` and side offsets ``(N, 4, H', W')``.
    """

    window = 12
    stride = 2

    def __init__(self) -> None:
        super().__init__()
        self.body = _convolutions((3, 10, 16, 32), (3, 3, 3), (HalvingPool(2), None, None))
        self.face = nn.Conv2d(32, 2, 1)
        self.box = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        x = self.body(x)
        face = self.face(x)
        return torch.sigmoid(face[:, 1] - face[:, 0]), self.box(x)


class RefineNet(nn.Module):
    """R-Net: windows ``(N, 3, 24, 24)`` → face probability ``(N,)``, side offsets ``(N, 4)``."""

    window = 24

    def __init__(self) -> None:
        super().__init__()
        self.body = _convolutions((3, 28, 48, 64), (3, 3, 2), (HalvingPool(3), HalvingPool(3), None))
        self.dense = nn.Linear(576, 128)
        self.act = nn.PReLU(128)
        self.face = nn.Linear(128, 2)
        self.box = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        x = self.act(self.dense(self.body(x).flatten(1)))
        face = self.face(x)
        return torch.sigmoid(face[:, 1] - face[:, 0]), self.box(x)


class OutputNet(nn.Module):
    """O-Net: windows ``(N, 3, 48, 48)`` → face probability ``(N,)``, side offsets ``(N, 4)``, landmarks ``(N, 5, 2)``.

    Landmarks are x, y as shares of the window.
    """

    window = 48

    def __init__(self) -> None:
        super().__init__()
        pools = (HalvingPool(3), HalvingPool(3), HalvingPool(2), None)
        self.body = _convolutions((3, 32, 64, 64, 128), (3, 3, 3, 2), pools)
        self.dense = nn.Linear(1152, 256)
        self.act = nn.PReLU(256)
        self.face = nn.Linear(256, 2)
        self.box = nn.Linear(256, 4)
        self.landmarks = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        x = self.act(self.dense(self.body(x).flatten(1)))
        face = self.face(x)
        points = self.landmarks(x).unflatten(1, (2, 5)).transpose(1, 2)
        return torch.sigmoid(face[:, 1] - face[:, 0]), self.box(x), points


class Cascade(nn.Module):
    """The three networks under one state dict: ``proposal``, ``refine``, ``output``."""

    def __init__(self) -> None:
        super().__init__()
        self.proposal = ProposalNet()
        self.refine = RefineNet()
        self.output = OutputNet()
