"""From a decoded frame to an upright picture of square pixels, and how bright one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114])  # shares of red, green and blue, Rec. ITU-R BT.601; everywhere in mien

# FFmpeg has quick and accurate converters to RGB for these, as long as the size stays; its general converter needs the
# flags to be within one level of the standard's formula (without them, white is 253).
_QUICK = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p"}
_ACCURATE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class Orientation:
    """How a stored picture is turned to stand upright: transposed first, then flipped along x and y."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: Any) -> Orientation:
        """Read a frame's display matrix; angles between quarter turns go to the nearest one.

        The matrix takes a stored point (p, q) to (a p + c q, b p + d q); see ISO/IEC 14496-12, 6.2.2.
        """
        try:
            side_data = frame.side_data[Type.DISPLAYMATRIX]
        except KeyError:
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5].tolist()
        if abs(a) >= abs(b):
            return cls(False, flip_x=a < 0, flip_y=d < 0)
        return cls(True, flip_x=c < 0, flip_y=b < 0)

    @property
    def mirrored(self) -> bool:
        """True where the turn includes a reflection."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which the stored picture is turned (after mirroring left and right, where mirrored)."""
        if not self.transpose:
            return 180 if self.flip_y else 0
        return 270 if self.flip_y else 90

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn ``(H, W, C)``; the result is contiguous."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])


def luma(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma 0..255 of RGB pixels ``(..., 3)``: ``(...)``."""
    pixels: NDArray[np.float32] = image.astype(np.float32) @ LUMA.astype(np.float32)
    return pixels


def shown_size(width: int, height: int, pixel_aspect: float, orientation: Orientation) -> tuple[int, int]:
    """(width, height) of the upright picture with square pixels: the stored width is scaled by the pixel's aspect."""
    width = max(1, round(width * pixel_aspect))
    return (height, width) if orientation.transpose else (width, height)


class Renderer:
    """Turns decoded frames into uint8 ``(H, W, C)``: colour, size and orientation in one pass through one scaler.

    One scaler kept for the file is twice as fast as a new one per frame, with the same bits.
    """

    def __init__(self, orientation: Orientation, size: tuple[int, int], grey: bool, threads: int) -> None:
        self.size = size
        self._orientation = orientation
        self._stored = (size[1], size[0]) if orientation.transpose else size
        self._format = "gray" if grey else "rgb24"
        self._threads = threads
        self._scaler = VideoReformatter()

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        width, height = self._stored
        quick = frame.format.name in _QUICK and (frame.width, frame.height) == self._stored
        scaling = Interpolation.BILINEAR if quick else _ACCURATE
        scaled = self._scaler.reformat(frame, width, height, self._format, interpolation=scaling, threads=self._threads)
        image: NDArray[Any] = scaled.to_ndarray()
        return self._orientation.apply(image if image.ndim == 3 else image[:, :, None])
