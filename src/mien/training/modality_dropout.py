"""Modality dropout: batches from which a modality is missing, so that a model learns to do without it.

``softhard`` and ``noise`` are those of Chumachenko, Iosifidis and Gabbouj, ICPR 2022 (arXiv 2201.11095); here what is
left out altogether is also marked as absent. ``span`` takes a modality away for a part of the clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mien.data.modalities import modalities_of, span_steps, steps_of, take_out
from mien.errors import UsageError
from mien.training.schema import ModalityDropout

PAIR = ("sound", "video")


def drop_modalities(
    batch: Mapping[str, Tensor], settings: ModalityDropout, generator: torch.Generator
) -> dict[str, Tensor]:
    """A batch for one training step.

    ``softhard``: four copies of every clip: whole; sound weakened to a share c and picture to 1 - c, where c is drawn
    from 0, 0.01, ... 0.99 for each clip; without sound; without picture. ``noise``: three copies: whole; noise in the
    place of the sound; noise in the place of the picture (standard normal, as published, whatever the modality's own
    scale). Copies are shuffled. ``span``: each clip loses one modality, drawn at random, with ``probability``, for a
    stretch whose share of the clip is drawn from ``share`` and whose place is uniform.

    Args:
        batch: every tensor has the clips as its first dimension.
        settings: which way, and its strength.
        generator: on the CPU; draws coefficients or noise (sound first), then the order.

    Raises:
        UsageError: the model does not take both sound and video (``span``: at least two modalities).
    """
    names = modalities_of(batch)
    if settings.kind == "none":
        return dict(batch)
    if settings.kind == "span":
        return _span(batch, names, settings, generator)
    if set(names) != set(PAIR):
        raise UsageError(
            f"modality_dropout {settings.kind!r} is made for models of sound and video, this one takes "
            f"{', '.join(names) or 'neither'}; use kind: span or none"
        )
    copies = _softhard(batch, generator) if settings.kind == "softhard" else _noise(batch, generator)
    order = torch.randperm(sum(len(copy["video"]) for copy in copies), generator=generator)
    order = order.to(batch["video"].device, non_blocking=True)
    together = {name: torch.cat([copy[name] for copy in copies])[order] for name in batch}
    left = _some_left(together, PAIR).nonzero().flatten()
    return together if len(left) == len(order) else {name: values[left] for name, values in together.items()}


def _some_left(batch: Mapping[str, Tensor], names: Iterable[str]) -> Tensor:
    """Clips of which anything is left, bool ``(B,)``: a silent recording without its picture teaches nothing."""
    return torch.stack([batch[f"{name}_present"].any(dim=1) for name in names]).any(dim=0)


def _softhard(batch: Mapping[str, Tensor], generator: torch.Generator) -> list[dict[str, Tensor]]:
    sound, video = batch["sound"], batch["video"]
    share = torch.randint(0, 100, (len(video), 1, 1), generator=generator)
    share = share.to(video.device, video.dtype, non_blocking=True) / 100
    everyone = torch.ones(len(video), dtype=torch.bool)
    soft = {
        **batch,
        "sound": sound * share.reshape(-1, *[1] * (sound.ndim - 1)),
        "video": video * (1 - share).reshape(-1, *[1] * (video.ndim - 1)),
    }
    # a share of 0 leaves nothing to hear
    soft = take_out(soft, "sound", share.flatten() == 0)
    return [dict(batch), soft, take_out(batch, "sound", everyone), take_out(batch, "video", everyone)]


def _noise(batch: Mapping[str, Tensor], generator: torch.Generator) -> list[dict[str, Tensor]]:
    def noise_for(values: Tensor) -> Tensor:
        return torch.randn(values.shape, generator=generator).to(values.device, values.dtype, non_blocking=True)

    return [dict(batch), *({**batch, name: noise_for(batch[name])} for name in PAIR)]


def _span(
    batch: Mapping[str, Tensor], names: tuple[str, ...], settings: ModalityDropout, generator: torch.Generator
) -> dict[str, Tensor]:
    if len(names) < 2:
        raise UsageError(f"modality_dropout needs a model of two modalities, this one takes {', '.join(names)} alone")
    count = len(batch[names[0]])
    happens, length, place = torch.rand(3, count, generator=generator)
    which = torch.randint(len(names), (count,), generator=generator)
    shortest, longest = settings.share
    length = shortest + (longest - shortest) * length
    low = place * (1 - length)
    for number, name in enumerate(names):
        hit = (happens < settings.probability) & (which == number)
        gone = span_steps(steps_of(batch, name), low, low + length) & hit[:, None]
        left = _some_left(batch, [other for other in names if other != name])
        batch = take_out(batch, name, gone.to(left.device, non_blocking=True) & left[:, None])
    return dict(batch)
