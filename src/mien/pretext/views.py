"""Several views of one clip: crops of different places, sizes and moments, each with changes of its own.

Caron et al., arXiv 2006.09882 (multi-crop), here over space and time. A view is one box and one change of colour for
all of its frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from mien.data.augment import Augmented
from mien.data.settings import AugmentationSettings
from mien.errors import MienError, UsageError
from mien.media.clip import Clip
from mien.models.contract import Encoder
from mien.models.specification import Inputs
from mien.models.tubelet import TubeletEncoder


@dataclass(frozen=True)
class ViewKind:
    """Views that share a shape.

    Attributes:
        key: under which they enter the batch, ``(views, C, T, H, W)``.
        changes: for every view, what it changes in the recipe's augmentation.
        size: side in pixels; None: as the model is fed.
        frames: length; None: the whole clip. Shorter views begin anywhere.
    """

    key: str
    changes: tuple[Mapping[str, Any], ...]
    size: int | None = None
    frames: int | None = None

    def check(self, encoder: Encoder) -> None:
        """``UsageError`` where the encoder cannot read such views."""
        if isinstance(encoder, TubeletEncoder):
            for name, value, unit in (
                ("frames", self.frames, encoder.tubelet[0]),
                ("size", self.size, encoder.tubelet[1]),
            ):
                if value is not None and value % unit:
                    raise UsageError(
                        f"pretext: {self.key} of {name} {value} do not fit tokens of {unit}; take a multiple"
                    )


class Views:
    """A transform of the loader: a clip becomes its views, one entry for each kind.

    Args:
        inputs: how the encoder is fed.
        augmentation: what all views have in common.
        kinds: see ``ViewKind``.
    """

    def __init__(self, inputs: Inputs, augmentation: AugmentationSettings, kinds: tuple[ViewKind, ...]) -> None:
        assert inputs.video is not None
        if inputs.video.frames is None:
            raise UsageError("views need clips of one length; set data.sampling.frames")
        self.kinds = kinds
        self.changes = []
        for kind in kinds:
            video = inputs.video.model_copy(
                update={"size": kind.size or inputs.video.size, "frames": kind.frames or inputs.video.frames}
            )
            own = Inputs(video=video)
            self.changes.append([Augmented(own, changed(augmentation, change)) for change in kind.changes])

    def __call__(self, clip: Clip, rng: np.random.Generator) -> dict[str, Tensor]:
        """Views of a clip by the key of their kind."""
        if not len(clip.frames):
            raise MienError("the recording has no picture, of which views could be made")
        return {
            kind.key: torch.stack([change(_part(clip, kind.frames, rng), rng)["video"] for change in changes])
            for kind, changes in zip(self.kinds, self.changes, strict=True)
        }


def changed(augmentation: AugmentationSettings, change: Mapping[str, Any]) -> AugmentationSettings:
    """The recipe's augmentation with some of its keys replaced; ``UsageError`` for keys and values that are wrong."""
    try:
        return AugmentationSettings.model_validate(augmentation.model_dump() | dict(change))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"pretext: {dict(change)} is no augmentation of a view: {place}: {first['msg']}") from None


def _part(clip: Clip, frames: int | None, rng: np.random.Generator) -> Clip:
    """``frames`` consecutive frames from anywhere in the clip."""
    count = len(clip.frames)
    if frames is None or frames == count:
        return clip
    if frames > count:
        raise UsageError(f"pretext: a view of {frames} frames does not fit clips of {count}; see data.sampling.frames")
    first = int(rng.integers(count - frames + 1))
    kept = slice(first, first + frames)
    return replace(clip, frames=clip.frames[kept], times=clip.times[kept], present=clip.present[kept])
