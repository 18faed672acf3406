"""How good a clip is to look at and listen to: numbers that preparation notes and training may choose by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.media.picture import luma

SILENCE = -100.0  # dB; digital silence has no logarithm


def light(crop: NDArray[np.uint8]) -> float:
    """Mean luma of a picture ``(H, W, 3)``: 0 black to 1 white."""
    return float(luma(crop).mean()) / 255.0


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the luma (0..255) over the inner pixels of ``(H, W, 3)``; 0 is featureless.

    Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000. It grows with detail and with noise,
    and falls when a small face is enlarged; compare clips of one size.
    """
    grey = luma(crop)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4.0 * inner
    return float(laplacian.var())


def loudness(squares: float, count: int) -> float:
    """Level in dB relative to full scale of ``count`` samples whose squares sum to ``squares``: 0 at most, -100 least.

    A sine of full scale has -3 dB.
    """
    if not count or squares <= 0:
        return SILENCE
    return max(SILENCE, float(10.0 * np.log10(squares / count)))


def good_enough(
    manifest: Manifest, ids: Sequence[str], lowest: Mapping[str, float], highest: Mapping[str, float]
) -> list[str]:
    """Ids whose columns lie within the bounds, in the given order; an empty value is out of bounds.

    Raises:
        UsageError: a column is missing or holds no numbers, or nothing is left.
    """
    keep = pd.Series(True, index=pd.Index(ids))
    for bounds, sign in ((lowest, 1.0), (highest, -1.0)):
        for column, bound in bounds.items():
            values = manifest.column(column, ids)
            numbers = pd.to_numeric(values, errors="coerce")
            if (numbers.isna() & values.notna()).any():
                odd = values[numbers.isna() & values.notna()].iloc[0]
                raise UsageError(f"{manifest.name}: {column} holds {odd!r}, which is no number to choose clips by")
            keep &= sign * numbers >= sign * bound
    if not keep.any():
        raise UsageError(
            f"{manifest.name}: no training clip is within lowest={dict(lowest)} and highest={dict(highest)}; relax them"
        )
    return list(keep.index[keep])
