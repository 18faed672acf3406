"""Which tokens a masked autoencoder hides. Drawn in the loader, per clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.manifest import Row
from mien.nn import Size3, grid_of


class Shuffles(Protocol):
    """A source of chance: ``numpy.random.Generator`` or the legacy ``RandomState`` (for published draws)."""

    def shuffle(self, x: Any, /) -> None:
        """Shuffle an array in place along its first axis."""
        ...

    def random(self) -> float:
        """A uniform number in 0..1 (1 excluded)."""
        ...


Symmetry = Literal["local", "global"]


def tube_mask(rng: Shuffles, grid: Size3, ratio: float) -> NDArray[np.bool_]:
    """Tube mask ``(t·h·w,)`` in raster order, True = masked: the same ``int(ratio·h·w)`` places in every time slice.

    With ``RandomState(seed)`` it repeats the published draws. Source: VideoMAE, section 3.3.
    """
    places = grid[1] * grid[2]
    mask = np.arange(places) >= places - int(ratio * places)
    rng.shuffle(mask)
    return np.tile(mask, grid[0])


def region_tube_mask(
    rng: Shuffles, grid: Size3, ratio: float, window: tuple[int, int], symmetry: Symmetry | None = None
) -> NDArray[np.bool_]:
    """Region-balanced tube mask ``(t·h·w,)``: every window of a slice hides ``int(ratio·places)`` of its places.

    Published as ``part_window``; equally many visible tokens per region are what LGI-Former's regions need. Windows
    are drawn in raster order. ``symmetry`` shows places of one half (left or right) only: the side is drawn per window
    (``local``) or once (``global``); then more than half of a window must be hidden.
    Source: MAE-DFER's released code; ``RandomState(seed)`` repeats its draws.
    """
    _, rows, columns = grid
    height, width = window
    if rows % height or columns % width:
        raise ValueError(f"a slice of {rows}x{columns} tokens cannot be cut into windows of {height}x{width}")
    shown = height * width - int(ratio * height * width)
    side = rng.random() < 0.5 if symmetry == "global" else False
    slice_mask = np.ones((rows, columns), dtype=bool)
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            span = width if symmetry is None else width // 2
            mask = np.arange(height * span) >= shown
            rng.shuffle(mask)
            if symmetry == "local":
                side = rng.random() < 0.5
            start = left if symmetry is None or side else left + span
            slice_mask[top : top + height, start : start + span] = mask.reshape(height, span)
    return np.tile(slice_mask.flatten(), grid[0])


def split_mask(mask: NDArray[np.bool_]) -> dict[str, Tensor]:
    """``visible`` and ``masked``: ascending int64 token indices of a mask ``(N,)``."""
    return {"visible": torch.from_numpy(np.flatnonzero(~mask)), "masked": torch.from_numpy(np.flatnonzero(mask))}


@dataclass(frozen=True)
class TubeMask:
    """Draws a tube mask for each clip of the loader (a ``ClipExtras``).

    Attributes:
        tubelet: frames, rows and columns of one token.
        ratio: share of places that are masked, in 0..1 (excluded).
    """

    tubelet: Size3
    ratio: float = 0.9

    def __post_init__(self) -> None:
        if not 0.0 < self.ratio < 1.0:
            raise ValueError(f"mask ratio {self.ratio} is not between 0 and 1")

    def __call__(self, rng: Shuffles, item: Mapping[str, Tensor], row: Row) -> dict[str, Tensor]:
        """Token indices ``visible`` and ``masked`` for ``item["video"]`` ``(C, T, H, W)``."""
        return split_mask(tube_mask(rng, grid_of(item["video"][None], self.tubelet), self.ratio))


@dataclass(frozen=True)
class RegionTubeMask:
    """Draws a region-balanced tube mask for each clip of the loader (a ``ClipExtras``).

    Attributes:
        tubelet: frames, rows and columns of one token.
        window: rows and columns of a region, in tokens.
        ratio: share of a window's places that are masked, in 0..1 (excluded).
        symmetry: see ``region_tube_mask``.
    """

    tubelet: Size3
    window: tuple[int, int]
    ratio: float = 0.9
    symmetry: Symmetry | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.ratio < 1.0:
            raise ValueError(f"mask ratio {self.ratio} is not between 0 and 1")
        if self.symmetry is not None and (self.ratio <= 0.5 or self.window[1] % 2):
            raise ValueError("a symmetric mask needs a ratio above 0.5 and windows of an even width")

    def __call__(self, rng: Shuffles, item: Mapping[str, Tensor], row: Row) -> dict[str, Tensor]:
        """Token indices ``visible`` and ``masked`` for ``item["video"]`` ``(C, T, H, W)``."""
        grid = grid_of(item["video"][None], self.tubelet)
        return split_mask(region_tube_mask(rng, grid, self.ratio, self.window, self.symmetry))
