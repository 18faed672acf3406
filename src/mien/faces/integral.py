"""Windows of any size out of a picture at once, by its integral image (summed-area table)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mien.faces.types import Floats

NEUTRAL = 127.5  # grey value that the networks see as 0; also stands for what lies outside the picture


class IntegralImages:
    """Pictures of one size, ready to be averaged over any rectangles.

    Averages are exact (integers inside) and equal area interpolation (adaptive average pooling) of the same pixels,
    however many windows are asked for and however large they are.

    Args:
        images: uint8 ``(N, H, W, 3)`` on the device that is to do the work; up to 4 million pixels each.
    """

    def __init__(self, images: Tensor) -> None:
        self.count, self.height, self.width = images.shape[:3]
        centred = images.to(torch.int32).mul_(2).sub_(int(2 * NEUTRAL))  # odd values -255..255, twice the centred ones
        sums = centred.cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
        self._table = torch.nn.functional.pad(sums, (0, 0, 1, 0, 1, 0))

    def level(self, height: int, width: int) -> Tensor:
        """All pictures reduced to ``(N, 3, height, width)``, scaled to -1..1, laid out channels last."""
        top, bottom = (edge.to(self._table.device) for edge in _bins(torch.tensor([[0, self.height]]), height))
        left, right = (edge.to(self._table.device) for edge in _bins(torch.tensor([[0, self.width]]), width))
        rows = self._table.index_select(1, bottom[0]) - self._table.index_select(1, top[0])
        sums = rows.index_select(2, right[0]) - rows.index_select(2, left[0])
        size = (bottom - top)[0][:, None, None] * (right - left)[0][:, None]
        return _scaled(sums, size).permute(0, 3, 1, 2)

    def windows(self, pictures: Floats, boxes: Floats, side: int) -> Tensor:
        """Contents of ``boxes`` (K, 4), whole pixels, as ``(K, 3, side, side)`` in -1..1.

        Args:
            pictures: ``(K,)`` which picture each box lies in.
            boxes: x0, y0, x1, y1; may reach over the border, where neutral grey is seen.
            side: height and width of a window.
        """
        device = self._table.device
        corners = torch.from_numpy(np.floor(boxes).astype(np.int64)).to(device)
        picture = torch.from_numpy(np.asarray(pictures, dtype=np.int64)).to(device)[:, None, None]
        left, right = _bins(corners[:, [0, 2]], side)
        top, bottom = _bins(corners[:, [1, 3]], side)
        table = self._table.view(-1, 3)

        def corner(y: Tensor, x: Tensor) -> Tensor:
            row = picture * (self.height + 1) + y.clamp(0, self.height)[:, :, None]
            place = row * (self.width + 1) + x.clamp(0, self.width)[:, None, :]
            return table.index_select(0, place.flatten()).view(*place.shape, 3)

        sums = corner(bottom, right) - corner(top, right) - corner(bottom, left) + corner(top, left)
        size = (bottom - top)[:, :, None, None] * (right - left)[:, None, :, None]
        return _scaled(sums, size).permute(0, 3, 1, 2)


def _bins(span: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """First and last-plus-one pixel of ``count`` bins over spans ``(K, 2)``; bins of short spans share pixels."""
    start, length = span[:, :1], (span[:, 1:] - span[:, :1]).clamp(min=1)
    step = torch.arange(count, device=span.device)
    return start + step * length // count, start - (-(step + 1) * length // count)


def _scaled(sums: Tensor, size: Tensor) -> Tensor:
    """Sums of twice the centred values over ``size`` pixels → averages in -1..1, as the networks were trained."""
    return sums.to(torch.float32) / (size.to(torch.float32) * 256.0)
