"""Which tokens a masked autoencoder hides. Drawn in the loader, per clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.nn import Size3, grid_of


class Shuffles(Protocol):
    """A source of chance: ``numpy.random.Generator`` or the legacy ``RandomState`` (for published draws)."""

    def shuffle(self, x: Any, /) -> None:
        """Shuffle an array in place along its first axis."""
        ...


def tube_mask(rng: Shuffles, grid: Size3, ratio: float) -> NDArray[np.bool_]:
    """Tube mask ``(t·h·w,)`` in raster order, True = masked: the same ``int(ratio·h·w)`` places in every time slice.

    With ``RandomState(seed)`` it repeats the published draws. Source: VideoMAE, section 3.3.
    """
    places = grid[1] * grid[2]
    mask = np.arange(places) >= places - int(ratio * places)
    rng.shuffle(mask)
    return np.tile(mask, grid[0])


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

    def __call__(self, rng: Shuffles, item: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Token indices ``visible`` and ``masked`` for ``item["video"]`` ``(C, T, H, W)``."""
        return split_mask(tube_mask(rng, grid_of(item["video"][None], self.tubelet), self.ratio))
