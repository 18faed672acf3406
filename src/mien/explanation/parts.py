"""Where the parts of a face lie in what a model is shown: by landmarks, or by the face's box where there are none."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.faces.recipe import CropRecipe
from mien.nn.device import sent_once

Box = tuple[float, float, float, float]  # x0, y0, x1, y1

# As shares of the face's box, which spans brows to chin.
BY_BOX: dict[str, tuple[Box, ...]] = {
    "forehead": ((0.1, -0.15, 0.9, 0.15),),
    "brows": ((0.08, 0.15, 0.92, 0.29),),
    "eyes": ((0.08, 0.29, 0.46, 0.47), (0.54, 0.29, 0.92, 0.47)),
    "nose": ((0.34, 0.40, 0.66, 0.68),),
    "cheeks": ((0.02, 0.47, 0.34, 0.72), (0.66, 0.47, 0.98, 0.72)),
    "mouth": ((0.22, 0.68, 0.78, 0.88),),
    "chin": ((0.25, 0.88, 0.75, 1.05),),
}
# The same along the face's own axes: across in distances of the eyes from the line through the nose, down in distances
# from eyes (0) to mouth (1).
BY_LANDMARKS: dict[str, tuple[Box, ...]] = {
    "forehead": ((-0.9, -1.15, 0.9, -0.55),),
    "brows": ((-0.95, -0.55, 0.95, -0.22),),
    "eyes": ((-0.9, -0.22, -0.12, 0.24), (0.12, -0.22, 0.9, 0.24)),
    "nose": ((-0.34, 0.1, 0.34, 0.74),),
    "cheeks": ((-1.05, 0.24, -0.34, 0.8), (0.34, 0.24, 1.05, 0.8)),
    "mouth": ((-0.62, 0.76, 0.62, 1.28),),
    "chin": ((-0.55, 1.28, 0.55, 1.75),),
}
FACE: Box = (-1.25, -1.15, 1.25, 1.75)
AROUND = "around the face"
NAMES = (*BY_BOX, AROUND)
CPU = torch.device("cpu")
LEAST = 0.45  # of eyes to mouth: how near each other the eyes of a face from the side are taken to be


def part_masks(
    size: int, crop: CropRecipe | None, landmarks: Tensor | None = None, device: torch.device = CPU
) -> Tensor:
    """Masks, 1 inside, of every part in ``NAMES``: its own of every picture where landmarks are known.

    Args:
        size: of the picture.
        crop: how faces are shown; a square of the box's longer side with the recipe's margin, or the picture itself.
        landmarks: ``(..., 5, 2)`` x, y of eyes, nose tip and mouth corners as shares of the picture; NaN: not known.
        device: where they are wanted.

    Returns:
        ``(P, size, size)``, or ``(..., P, size, size)``.
    """
    usual = _by_box(device, size, crop)
    if landmarks is None:
        return usual
    known = landmarks.isfinite().flatten(-2).all(dim=-1)[..., None, None, None]
    return torch.where(known, _by_landmarks(size, landmarks.nan_to_num()), usual.to(landmarks))


@sent_once
def _by_box(size: int, crop: CropRecipe | None) -> Tensor:
    margin = 0.0 if crop is None else crop.margin
    low, span = margin / (1 + 2 * margin), 1 / (1 + 2 * margin)
    centres = ((torch.arange(size) + 0.5) / size - low) / span
    across, down = centres[None].expand(size, -1), centres[:, None].expand(-1, size)
    return _filled(across, down, BY_BOX, (0.0, -0.15, 1.0, 1.05))


def _by_landmarks(size: int, landmarks: Tensor) -> Tensor:
    """Axes of the face: across from eye to eye, down at right angles to it; parts turn and shrink with the face."""
    points = landmarks.unbind(dim=-2)
    eyes, mouth = (points[0] + points[1]) / 2, (points[3] + points[4]) / 2
    along = points[1] - points[0]
    apart = along.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    along = along / apart
    down_ = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
    length = ((mouth - eyes) * down_).sum(dim=-1, keepdim=True).clamp_min(1e-6)
    apart, length = torch.maximum(apart, LEAST * length), torch.maximum(length, LEAST * apart)
    centres = (torch.arange(size, device=landmarks.device) + 0.5) / size
    grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)  # (size, size, 2) x, y

    def measured(axis: Tensor, unit: Tensor, points_: Tensor) -> Tensor:
        return ((points_ - eyes[..., None, None, :]) * axis[..., None, None, :]).sum(dim=-1) / unit[..., None]

    across, down = measured(along, apart, grid), measured(down_, length, grid)
    # the line through the nose: from between the eyes over the tip to the middle of the mouth, as the head turns
    middle = ((mouth - eyes) * along).sum(dim=-1, keepdim=True) / apart
    tip = ((points[2] - eyes) * along).sum(dim=-1, keepdim=True) / apart
    height = (((points[2] - eyes) * down_).sum(dim=-1, keepdim=True) / length).clamp(0.2, 0.9)
    tip, middle, height = (value[..., None] for value in (tip, middle, height))
    above = tip * (down / height).clamp(0, 1)
    below = tip + (middle - tip) * ((down - height) / (1 - height)).clamp(0, 1)
    return _filled(across - torch.where(down < height, above, below), down, BY_LANDMARKS, FACE)


def _filled(across: Tensor, down: Tensor, parts: dict[str, tuple[Box, ...]], face: Box) -> Tensor:
    """Masks ``(..., P, H, W)`` from coordinates ``(..., H, W)`` of every pixel."""

    def inside(box: Box) -> Tensor:
        x0, y0, x1, y1 = box
        return (across >= x0) & (across < x1) & (down >= y0) & (down < y1)

    masks = [torch.stack([inside(box) for box in boxes]).any(dim=0) for boxes in parts.values()]
    return torch.stack([*masks, ~inside(face)], dim=-3).float()
