"""The last changes to a clip, which make floats of its bytes: colour, normalisation, erasing.

``Augmented`` does them at once, or leaves them to whoever takes the batch: what is drawn for a clip is a few numbers
that travel beside its bytes. Brightness, contrast, saturation and grey together are one matrix and an offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.data.boxes import Box, erase_box
from mien.data.inputs import in_channels, normalise, scales
from mien.data.memory import POOL
from mien.data.settings import AugmentationSettings
from mien.data.together import finish_together
from mien.media.picture import LUMA
from mien.models.specification import VideoInput
from mien.nn.device import send

_LUMA = torch.tensor(LUMA, dtype=torch.float32)
_GREY = torch.ones(1)
COLOUR, PLACES = "video_colour", "video_places"  # keys of what is left to do


@dataclass(frozen=True)
class Colour:
    """A colour change on 0..255: ``own`` times the pixel, plus ``luma`` times its luma, plus ``mean`` times the mean
    luma of the clip."""

    own: float
    luma: float
    mean: float


@dataclass(frozen=True)
class Hole:
    """A box to erase, and the seed of the noise that fills it."""

    box: Box
    seed: int


def draw_colour(settings: AugmentationSettings, rng: np.random.Generator) -> Colour | None:
    """Colour change of a clip, or None where nothing changes.

    Brightness scales, contrast blends with the clip's mean luma (one for all frames, so that nothing flickers),
    saturation blends every pixel with its own luma.
    """
    strengths = (settings.brightness, settings.contrast, settings.saturation)
    brightness, contrast, saturation = (1.0 + strength * rng.uniform(-1.0, 1.0) for strength in strengths)
    if rng.random() < settings.grey:
        saturation = 0.0
    if brightness == contrast == saturation == 1.0:
        return None
    scale = brightness * contrast
    return Colour(scale * saturation, scale * (1.0 - saturation), (1.0 - contrast) * brightness)


def recolour(planes: Tensor, colour: Colour) -> Tensor:
    """Change the colour of float ``(3 or 1, T, H, W)``, RGB or grey in 0..255, clipped to that range."""
    offset, matrix = _linear(planes, colour)
    return torch.addmm(offset, matrix, planes.reshape(len(planes), -1)).clamp_(0.0, 255.0).view_as(planes)


def _linear(planes: Tensor, colour: Colour) -> tuple[Tensor, Tensor]:
    """A colour change of ``planes`` as offset ``(C, 1)`` and matrix ``(C, C)``."""
    weights = (_LUMA if len(planes) == 3 else _GREY).to(planes.device)
    matrix = (colour.luma * weights).repeat(len(planes), 1)
    matrix.diagonal().add_(colour.own)
    middle = weights @ planes.mean(dim=(1, 2, 3))
    return (colour.mean * middle).expand(len(planes), 1), matrix


def _recolour_normalised(
    planes: Tensor, colour: Colour, video: VideoInput, to_values: tuple[Tensor, Tensor], out: Tensor
) -> None:
    """``recolour`` and ``normalise`` in one pass over the pixels and one over the values, into ``out``."""
    offset, matrix = _linear(planes, colour)
    scale, shift = to_values
    flat = out.view(len(planes), -1)
    torch.addmm(offset * scale - shift, matrix * scale, planes.view(len(planes), -1), out=flat)
    for values, mean, std in zip(flat, video.mean, video.std, strict=True):
        values.clamp_(-mean / std, (1.0 - mean) / std)


def draw_hole(size: int, settings: AugmentationSettings, rng: np.random.Generator) -> Hole | None:
    """The box of a clip ``size`` pixels wide and high that is erased; None where none is."""
    if rng.random() >= settings.erase:
        return None
    box = erase_box(size, size, settings.erase_scale, rng)
    return None if box is None else Hole(box, int(rng.integers(2**63 - 1)))


def fill(video: Tensor, hole: Hole | None) -> None:
    """Fill one box of ``(C, T, H, W)`` with standard normal noise, in place, fresh for every pixel and frame.

    Zhong et al., Random Erasing, AAAI 2020; the box is the same for all frames. Noise is drawn where the clip lies:
    equal seeds give equal noise on devices of one kind.
    """
    if hole is None:
        return
    top, left, height, width = hole.box
    noise = torch.Generator(video.device).manual_seed(hole.seed)
    area = video[:, :, top : top + height, left : left + width]
    area.copy_(torch.randn(area.shape, generator=noise, device=video.device))


@dataclass(frozen=True)
class Left:
    """What is left to do for a clip.

    Attributes:
        mirrored: left and right change places.
        colour, hole: None where nothing is to be done.
        shown: False where the clip has no picture.
    """

    mirrored: bool = False
    colour: Colour | None = None
    hole: Hole | None = None
    shown: bool = True

    def tensors(self) -> dict[str, Tensor]:
        """As tensors of an item."""
        colour = (self.colour.own, self.colour.luma, self.colour.mean) if self.colour else (1.0, 0.0, 0.0)
        hole = (*self.hole.box, self.hole.seed) if self.hole else (0, 0, 0, 0, 0)
        return {
            COLOUR: torch.tensor(colour, dtype=torch.float64),
            PLACES: torch.tensor([self.shown, self.mirrored, *hole], dtype=torch.int64),
        }

    @classmethod
    def of(cls, colour: list[float], places: list[int]) -> Left:
        """Back from the values of those tensors."""
        shown, mirrored, top, left, height, width, seed = places
        return cls(
            bool(mirrored),
            None if colour == [1.0, 0.0, 0.0] else Colour(*colour),
            Hole((top, left, height, width), seed) if height else None,
            bool(shown),
        )


def finish(batch: Mapping[str, Tensor], video: VideoInput | None, device: torch.device | str) -> dict[str, Tensor]:
    """A batch on ``device``, with the work done that ``Augmented`` left for later, if any.

    Args:
        batch: tensors with a batch dimension; ``video`` uint8 ``(B, C, T, H, W)`` where something is left to do.
        video: how the model takes it.
        device: where.
    """
    moved = {name: send(tensor, torch.device(device)) for name, tensor in batch.items() if name not in (COLOUR, PLACES)}
    if COLOUR not in batch:
        return moved
    assert video is not None
    clips = moved["video"]
    lefts = [Left.of(*told) for told in zip(batch[COLOUR].tolist(), batch[PLACES].tolist(), strict=True)]
    if clips.device.type != "cpu":
        return {**moved, "video": _all_at_once(clips, batch, lefts, video)}
    with _one_thread():
        return {**moved, "video": _one_by_one(clips, lefts, video)}


def _one_by_one(clips: Tensor, lefts: Sequence[Left], video: VideoInput) -> Tensor:
    """On a processor, whose caches hold a clip."""
    finished = _empty((len(clips), len(video.mean), *clips.shape[2:]), clips.device)
    scale, shift = scales(video, clips.device)
    to_values = scale.view(-1, 1), shift.view(-1, 1)
    for clip, values, left in zip(clips, finished, lefts, strict=True):
        if left.shown:
            _finish(clip.flip(-1) if left.mirrored else clip, left.colour, video, to_values, values)
    return _erased(finished, lefts)


def _all_at_once(clips: Tensor, batch: Mapping[str, Tensor], lefts: Sequence[Left], video: VideoInput) -> Tensor:
    """On a GPU, where every step of every clip would be a kernel of its own."""
    colours = batch[COLOUR].float().to(clips.device, non_blocking=True)
    mirrored = batch[PLACES][:, 1].bool().to(clips.device, non_blocking=True)
    return _erased(finish_together(clips, colours, mirrored, video, any(left.colour for left in lefts)), lefts)


def _erased(finished: Tensor, lefts: Sequence[Left]) -> Tensor:
    """Holes filled and what is not shown made zero, in place."""
    for values, left in zip(finished, lefts, strict=True):
        if left.shown:
            fill(values, left.hole)
        else:
            values.zero_()
    return finished


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of the processor: for steps of fractions of a millisecond, several wait for each other and for the
    loader's workers longer than they help."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _finish(
    clip: Tensor, colour: Colour | None, video: VideoInput, to_values: tuple[Tensor, Tensor], values: Tensor
) -> None:
    """Colour and normalisation of uint8 ``(C, T, H, W)`` into float ``values``; no memory beside where that serves.

    ``to_values`` is what ``scales`` says, as ``(C, 1)``.
    """
    plain = clip.shape == values.shape and video.channels != "bgr" and video.centre != "clip"
    if plain and colour is None:
        flat = values.copy_(clip).view(len(clip), -1)
        flat.mul_(to_values[0]).sub_(to_values[1])
    elif plain and colour is not None:
        _recolour_normalised(_empty(clip.shape, clip.device).copy_(clip), colour, video, to_values, values)
    else:
        planes = clip.to(torch.float32)
        planes = planes if colour is None else recolour(planes, colour)
        values.copy_(normalise(in_channels(planes.transpose(0, 1), video.channels), video))


def _empty(shape: Sequence[int], device: torch.device) -> Tensor:
    return POOL.empty(shape) if device.type == "cpu" else torch.empty(tuple(shape), device=device)
