"""Windows → relevance maps, as one more reader of the pipeline: following faces and averaging windows is its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoints.bundle import Bundle
from mien.errors import UsageError
from mien.explanation.gradients import integrated_gradients
from mien.explanation.occlusion import heat, hide_grid, hide_modalities, hide_moments, hide_places
from mien.explanation.parts import NAMES, part_masks
from mien.explanation.rollout import rollout, rolls_out
from mien.explanation.score import Inputs, Score
from mien.inference.recording import LANDMARKS
from mien.inference.settings import PredictSettings
from mien.models.contract import Encoder, Recogniser
from mien.models.device import device_named, placed
from mien.models.specification import Calibration

Method = Literal["gradients", "rollout", "occlusion"]
METHODS: tuple[Method, ...] = ("gradients", "rollout", "occlusion")

CELLS = 14  # of a map, along each side
MOMENTS = 8  # of a window
HIDDEN = 7  # cells along a side that are hidden in turn
MODALITIES = ("video", "sound")
CLASS = "class "  # and its name: a column of answers


class Explainer:
    """Answers for every window with a map of where the model looked, and with what hiding things costs.

    Columns of an answer: ``answer`` (probability or value of what is explained); where the most probable class of every
    window is explained, ``class <name>`` (1 for the class that it is, so that means over windows are shares); with
    occlusion ``part <name>`` (loss when that part of the face is hidden) and ``modality <name>`` (loss without it; NaN
    where there is only one); then the map, ``m0``... row by row. Maps of a window add up to the number of its moments,
    so that at an average moment a map adds up to 1.

    Args:
        bundle: with a task.
        method: how relevance is found.
        settings: device.
        output: what is explained; None: the most probable class of every window, or the first value.

    Raises:
        UsageError: no task, no such output, no pictures, or a method that the model has no place for.
    """

    kind = "features"
    per_frame = False
    calibration: Calibration | None = None
    lighter: tuple[str, ...] = ()  # maps are made in float32

    def __init__(self, bundle: Bundle, method: Method, settings: PredictSettings, output: str | None = None) -> None:
        if bundle.task is None or not isinstance(bundle.model, Recogniser):
            raise UsageError("this bundle is a bare encoder without a task, it gives no answer to explain")
        video = bundle.specification.inputs.video
        if video is None:
            raise UsageError(f"the model {bundle.specification.model} sees no pictures, so there is no map of them")
        self.device = device_named(settings.device)
        model = placed(bundle.model, settings.device)
        if method == "rollout" and not rolls_out(model.encoder):
            raise UsageError(f"{bundle.specification.model} has no attention over its pictures to roll out")
        self.method = method
        self.score = Score(model, bundle.task, output)
        # rollout changes modules for the time of a call, while other threads ask the model
        self._twin = deepcopy(model.encoder) if method == "rollout" else model.encoder
        self._crop = video.crop
        known = bundle.task.classes if output is None else None
        self.classes = tuple(f"{CLASS}{name}" for name in known or ())
        self.extra: tuple[str, ...] = ()
        if method == "occlusion":
            self.extra = (*(f"part {name}" for name in NAMES), *(f"modality {name}" for name in MODALITIES))
        self.outputs = ("answer", *self.classes, *self.extra, *(f"m{cell}" for cell in range(CELLS * CELLS)))
        self.width = len(self.outputs)

    def __call__(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``(B, MOMENTS, width)``; beside the model's inputs a batch may hold ``landmarks`` ``(B, T, 5, 2)``."""
        batch, landmarks = {name: value for name, value in batch.items() if name != LANDMARKS}, batch.get(LANDMARKS)
        if "video" not in batch or batch["video"].numel() == 0:
            (size,) = {len(values) for values in batch.values()}
            return torch.full((size, 1, self.width), torch.nan)
        maps = _by_rollout(self._twin, batch) if self.method == "rollout" else _METHODS[self.method](self.score, batch)
        maps = heat(maps) * MOMENTS
        with torch.no_grad():
            chosen = self.score.chosen(batch)
            answer = self.score.read(batch, chosen)
        which = [F.one_hot(chosen, len(self.classes)).to(answer)] if self.classes else []
        columns = [answer[:, None], *which, *self._losses(batch, landmarks)]
        same = torch.cat(columns, dim=1)[:, None].expand(-1, MOMENTS, -1)
        return torch.cat([same, maps.flatten(2).to(same)], dim=2)

    def _losses(self, batch: Inputs, landmarks: Tensor | None) -> list[Tensor]:
        """What hiding parts of the face and modalities costs, for the columns ``extra``; NaN for parts out of sight."""
        if not self.extra:
            return []
        masks = part_masks(batch["video"].shape[-1], self._crop, landmarks, self.device)
        if masks.ndim == 5:  # its own for every picture: (B, T, P, H, W) → P of (B, 1, T, H, W)
            masks = masks.movedim(2, 0)[:, :, None]
        shown = masks.flatten(1).any(dim=1)
        parts = hide_places(self.score, batch, masks)
        parts = torch.where(shown, parts, torch.nan)
        found = hide_modalities(self.score, batch)
        missing = torch.full((len(parts),), torch.nan, device=parts.device)
        return [parts, torch.stack([found.get(name, missing) for name in MODALITIES], dim=1)]


def _by_gradients(score: Score, batch: Inputs) -> Tensor:
    added = integrated_gradients(score, batch).abs().sum(dim=1)
    return F.adaptive_avg_pool3d(added[:, None], (MOMENTS, CELLS, CELLS))[:, 0]


def _by_rollout(encoder: Encoder, batch: Inputs) -> Tensor:
    found = rollout(encoder, batch)
    return F.interpolate(found[:, None], (MOMENTS, CELLS, CELLS), mode="trilinear", align_corners=False)[:, 0]


def _by_occlusion(score: Score, batch: Inputs) -> Tensor:
    """Where times when: a place is as relevant at a moment as both say."""
    places = heat(hide_grid(score, batch, HIDDEN))
    places = F.interpolate(places[:, None], (CELLS, CELLS), mode="bilinear", align_corners=False)[:, 0]
    moments = heat(hide_moments(score, batch, MOMENTS))
    moments = torch.where(moments.sum(dim=1, keepdim=True) > 0, moments, torch.full_like(moments, 1 / MOMENTS))
    return moments[:, :, None, None] * places[:, None]


_METHODS: dict[Method, Callable[[Score, Inputs], Tensor]] = {
    "gradients": _by_gradients,
    "occlusion": _by_occlusion,
}
