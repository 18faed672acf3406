"""Pictures of what a masked autoencoder saw and made."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from mien.files import complete
from mien.pretext.masked_autoencoder import Pictures


def gallery(pictures: Pictures, frames: int = 4, gap: int = 4) -> Image.Image:
    """One picture: for each clip a row per version (``Pictures.rows``), columns are ``frames`` spread over time.

    Args:
        pictures: of a batch.
        frames: columns at most.
        gap: white pixels between pictures; three times as many between clips.
    """
    length = pictures.original.shape[1]
    chosen = torch.linspace(0, length - 1, min(frames, length)).round().long()
    rows = []
    for clip in zip(*pictures.rows.values(), strict=True):
        rows += [_row(version[chosen], gap) for version in clip]
        rows.append(torch.full((2 * gap, rows[0].shape[1], rows[0].shape[2]), 255, dtype=torch.uint8))
    picture = torch.cat(rows[:-1]).numpy()
    return Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture)


def save_gallery(pictures: Pictures, path: Path, frames: int = 4) -> Image.Image:
    """Write ``gallery`` as PNG, under its final name only when complete, and return it."""
    picture = gallery(pictures, frames)
    with complete(path) as part:
        picture.save(part, format="png")
    return picture


def _row(frames: Tensor, gap: int) -> Tensor:
    """``(K, H, W, C)`` → ``(H + gap, K·(W + gap), C)``, white between."""
    padded = torch.nn.functional.pad(frames, (0, 0, 0, gap, 0, gap), value=255)
    return padded.permute(1, 0, 2, 3).flatten(1, 2)
