"""LiRA: predict from the silent video what is heard at the same moment.

Ma, Mira, Petridis, Schuller and Pantic, LiRA: Learning Visual Speech Representations from Audio through
Self-supervision, Interspeech 2021, arXiv 2106.09171. Its code is private; sizes that the paper does not tell are those
of the same group's public lip readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mien.errors import MienError, UsageError
from mien.models.contract import Encoder
from mien.models.registry import create_encoder
from mien.models.specification import Inputs, VideoInput
from mien.nn.conformer import Conformer
from mien.pretext.acoustic import Acoustics, Heard, Reduce
from mien.pretext.collapse import spread, verdict
from mien.pretext.contract import Moment, Pretext
from mien.pretext.exchange import summed
from mien.pretext.speech import HiddenLayer

REMEDY = "lower optimiser.lr, or look whether the recordings have sound that belongs to the picture"


class Standard(nn.Module):
    """Brings targets to zero mean and unit variance per dimension, by all that was seen so far.

    Before anything was noted (``note``), by the batch itself.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self._pending: list[tuple[Tensor, Tensor]] = []

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """``(..., D)`` → ``(..., D)``; only rows ``present`` ``(...)`` count. Training notes them for ``note``."""
        shifted = torch.where(present[..., None], rows - self.mean, 0.0).flatten(0, -2)
        count = present.sum()
        total = shifted.sum(0)
        if self.training:
            self._pending.append((count, torch.stack((total, shifted.square().sum(0)))))
        mean = total / count.clamp_min(1)
        off = torch.where(present.flatten()[:, None], shifted - mean, 0.0)
        variance = off.square().sum(0) / count.clamp_min(1)
        known = self.count > 0
        centred = torch.where(known, shifted, off)
        return (centred / (torch.where(known, self.variance, variance) + 1e-6).sqrt()).view_as(rows)

    @torch.no_grad()
    def note(self) -> None:
        """Take the rows since the last time, of all processes, into the statistics; every process must call it."""
        sums = sum((sums for _, sums in self._pending), torch.zeros_like(self.mean).repeat(2, 1))
        found, count = summed(sums, sum((rows for rows, _ in self._pending), torch.zeros_like(self.count)))
        self._pending = []
        # Chan, Golub and LeVeque, 1983; sums are of differences to the mean before. Without rows the share is 0
        delta, squares = found / count.clamp_min(1)
        share = (count / (self.count + count).clamp_min(1)).to(delta)
        self.variance.lerp_(squares - delta.square(), share).addcmul_(delta.square(), share * (1.0 - share))
        self.mean.addcmul_(delta, share)
        self.count += count.to(self.count.dtype)


class LiRA(Pretext):
    """An encoder that gives features per frame, a Conformer and a small MLP, under the L1 loss of what was heard.

    A batch holds ``video`` and either ``heard`` ``(B, T, D)`` with ``heard_present`` ``(B, T)`` or, where a network
    makes the targets, ``sound`` ``(B, S)`` at 16 kHz. Frames without sound do not count.

    Args:
        encoder: is trained.
        acoustics: what is predicted.
        step: seconds that a frame lasts.
        conformer: options of ``mien.nn.conformer.Conformer``.
    """

    def __init__(self, encoder: Encoder, acoustics: Acoustics, step: float, **conformer: Any) -> None:
        super().__init__()
        self.encoder, self.acoustics = encoder, acoustics
        self.network = HiddenLayer(acoustics, step) if acoustics.learned else None
        self.extras = None if acoustics.learned else Heard(acoustics, step)
        width = self.network.width if self.network else acoustics.width()
        width *= acoustics.per_frame(step) if acoustics.reduce == "stack" else 1
        self.conformer = Conformer(encoder.feature_dim, **conformer)
        dim = self.conformer.enter.out_features
        self.projection = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, width))
        self.standard = Standard(width)

    def reads(self, inputs: Inputs) -> Inputs:
        """The sound beside what the encoder takes."""
        return inputs.model_copy(update={"sound": self.acoustics.sound})

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean absolute error over frames that were heard; ``explained``: how much less it is than a constant's."""
        heard, present = self.network(batch) if self.network else (batch["heard"], batch["heard_present"])
        features = self.encoder.forward_features({name: batch[name] for name in ("video", "length") if name in batch})
        if features.frames is None:
            raise UsageError("LiRA needs an encoder that gives features per frame")
        frames = features.frames
        if frames.shape[1] != heard.shape[1]:
            raise MienError(f"{frames.shape[1]} features for {heard.shape[1]} frames; LiRA needs one for each frame")
        seen = torch.arange(frames.shape[1], device=frames.device) < batch["length"][:, None]
        predicted = self.projection(self.conformer(frames, seen)).float()
        target = self.standard(torch.where(present[..., None], heard.float(), 0.0), present)
        # without a frame that was heard the loss is 0, and everything still depends on it
        loss = _mean_distance(predicted, target, present)
        middle = torch.where(present[..., None], target, torch.nan).flatten(0, 1).nanmedian(dim=0).values
        constant = _mean_distance(middle, target, present)
        explained = torch.where(present.any(), 1.0 - loss.detach() / constant.clamp_min(1e-6), 0.0)
        return loss, {"explained": explained, "feature_std": spread(features.pooled.detach())}

    def after_step(self, moment: Moment) -> None:
        """What was heard enters the statistics."""
        self.standard.note()

    def trouble(self, values: Mapping[str, float]) -> str | None:
        """See ``Pretext.trouble``."""
        return verdict(values, REMEDY)


def _mean_distance(values: Tensor, target: Tensor, present: Tensor) -> Tensor:
    """Mean absolute difference to ``target`` ``(B, T, D)`` over the frames that are ``present`` ``(B, T)``."""
    distance = torch.where(present[..., None], (values - target).abs(), 0.0)
    return distance.sum() / (present.sum() * target.shape[-1]).clamp_min(1)


def lira(
    model: str,
    arguments: Mapping[str, Any],
    video: VideoInput,
    *,
    target: str = "log_mel",
    source: str = "",
    layer: int = 6,
    hop: float = 0.01,
    reduce: Reduce = "stack",
    span: float | None = None,
    centre: Literal["corpus", "clip"] = "corpus",
    **conformer: Any,
) -> LiRA:
    """LiRA around a registered encoder.

    Args:
        model, arguments: registered encoder and keyword arguments of its builder.
        video: how the encoder is fed; must be sampled by ``fps``.
        target, source, layer, hop, reduce, span, centre: see ``Acoustics``.
        conformer: options of ``mien.nn.conformer.Conformer``.
    """
    if video.fps is None:
        raise UsageError("LiRA needs frames at a known rate; give data.sampling.fps in the place of stride")
    acoustics = Acoustics(target, source, layer, hop, reduce, span, centre)
    return LiRA(create_encoder(model, **arguments), acoustics, 1.0 / video.fps, **conformer)
