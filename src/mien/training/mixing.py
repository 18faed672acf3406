"""Mixup and cutmix: neighbouring clips of a batch blended, targets with them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from mien.data.seeding import Draws
from mien.errors import UsageError
from mien.training.schema import Mixing


def mix(batch: Mapping[str, Tensor], classes: int, settings: Mixing, rng: Draws) -> dict[str, Tensor]:
    """Blend every clip with the one at the mirrored place of the batch; class ids become probabilities.

    Mixup (Zhang et al. 2018) adds ``share * clip + (1 - share) * partner`` with share ~ Beta(mixup, mixup). Cutmix
    (Yun et al. 2019) pastes one box of the partner over all frames, of area ``1 - share``, share ~ Beta(cutmix,
    cutmix), uniform centre, cut off at the border; the target then follows the area that was really pasted. Where both
    are on, a coin picks cutmix with probability ``switch``.

    Args:
        batch: ``video`` ``(B, C, T, H, W)`` and ``target`` int64 ``(B,)`` are changed, the rest is kept.
        classes: number of classes K.
        settings: Beta parameters and coin.
        rng: where the draws come from, one set per batch.

    Returns:
        The batch with new ``video`` and ``target`` float32 ``(B, K)``.
    """
    target = batch["target"]
    if target.ndim != 1 or target.is_floating_point() or "sound" in batch:
        raise UsageError("mixing blends videos with one class per clip and nothing else; set mixing to {} here")
    both = settings.mixup > 0 and settings.cutmix > 0
    cut = rng.random() < settings.switch if both else settings.cutmix > 0
    share = rng.beta(settings.cutmix, settings.cutmix) if cut else rng.beta(settings.mixup, settings.mixup)
    video = batch["video"]
    if cut:
        video, share = _paste(video, share, rng)
    else:
        video = video * share + video.flip(0) * (1.0 - share)
    truth = functional.one_hot(target, classes).to(torch.float32)
    return {**batch, "video": video, "target": truth * share + truth.flip(0) * (1.0 - share)}


def _paste(video: Tensor, share: float, rng: Draws) -> tuple[Tensor, float]:
    height, width = video.shape[-2:]
    side = (1.0 - share) ** 0.5
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    middle_row, middle_column = int(rng.integers(height)), int(rng.integers(width))
    rows = slice(max(middle_row - half_height, 0), min(middle_row + half_height, height))
    columns = slice(max(middle_column - half_width, 0), min(middle_column + half_width, width))
    mixed = video.clone()
    mixed[..., rows, columns] = video.flip(0)[..., rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, 1.0 - area / (height * width)
