"""From a clip to what a model takes: the one deterministic path that evaluation and prediction share."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mien import media
from mien.errors import MienError
from mien.media.clip import Clip
from mien.media.picture import LUMA
from mien.models.specification import Inputs, SoundInput, VideoInput

_DEFAULT_STEP = 0.04


def to_tensors(clip: Clip, inputs: Inputs) -> dict[str, Tensor]:
    """Tensors of one clip, as the Specification asks for them; no batch dimension.

    Args:
        clip: frames already chosen (``T`` equals ``inputs.video.frames`` where that is fixed, or 0 where the picture
            is absent); sound at ``inputs.sound.rate``, of any extent: the stretch of the frames is cut out of it.
        inputs: what the model takes.

    Returns:
        ``video`` float32 ``(C, T, size, size)`` normalised, ``video_present`` bool ``(T,)``;
        ``sound`` float32 ``(S,)`` or ``(F, L)``, ``sound_present`` bool over its last dimension.
        What is absent is zero and marked as not present. Named streams are not made here.

    Raises:
        MienError: the number of frames or the sample rate is not the model's.
    """
    tensors: dict[str, Tensor] = {}
    if inputs.video is not None:
        tensors |= video_tensors(clip, inputs.video)
    if inputs.sound is not None:
        tensors |= sound_tensors(clip, inputs.sound)
    return tensors


def video_tensors(clip: Clip, video: VideoInput) -> dict[str, Tensor]:
    """``video`` and ``video_present`` of a clip; see ``to_tensors``."""
    count = len(clip.frames)
    if count == 0:
        shape = (len(video.mean), video.frames or 1, video.size, video.size)
        return {"video": torch.zeros(shape), "video_present": torch.zeros(shape[1], dtype=torch.bool)}
    if video.frames is not None and count != video.frames:
        raise MienError(f"the clip has {count} frame(s), the model takes {video.frames}; sample it to that length")
    pictures = resize(to_channels(square(clip.frames), video.channels), video.size)
    present = torch.from_numpy(np.ascontiguousarray(clip.present))
    return {"video": normalise(pictures, video), "video_present": present}


def square(frames: NDArray[np.uint8], place: float = 0.5) -> NDArray[np.uint8]:
    """Largest square of ``(T, H, W, C)`` pictures, ``place`` 0..1 along the longer side."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = int((height - side) * place), int((width - side) * place)
    return frames[:, top : top + side, left : left + side]


def to_channels(frames: NDArray[np.uint8], channels: str) -> Tensor:
    """uint8 ``(T, H, W, 1 or 3)`` RGB or grey → float32 ``(T, C, H, W)`` in 0..255, in the model's channels."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).to(torch.float32)
    return in_channels(pictures, channels)


def in_channels(pictures: Tensor, channels: str) -> Tensor:
    """Float ``(T, 3 or 1, H, W)``, RGB or grey → ``(T, C, H, W)`` in the model's channels."""
    if channels == "grey":
        if pictures.shape[1] == 3:
            weights = torch.tensor(LUMA, dtype=torch.float32, device=pictures.device)
            pictures = torch.einsum("tchw,c->thw", pictures, weights)[:, None]
        return pictures
    if pictures.shape[1] == 1:
        pictures = pictures.expand(-1, 3, -1, -1)
    return pictures.flip(1) if channels == "bgr" else pictures


def resize(pictures: Tensor, size: int) -> Tensor:
    """Float ``(T, C, H, W)`` → ``(T, C, size, size)``, bilinear with antialiasing; untouched where it fits."""
    if pictures.shape[-2:] == (size, size):
        return pictures
    return F.interpolate(pictures, (size, size), mode="bilinear", align_corners=False, antialias=True)


def normalise(pictures: Tensor, video: VideoInput) -> Tensor:
    """Float ``(T, C, H, W)`` in 0..255 → ``(C, T, H, W)``: ``(x / 255 - mean) / std``, see ``VideoInput.centre``."""
    if video.centre == "clip":
        changes = (pictures - pictures.mean(dim=0, keepdim=True)).transpose(0, 1)
        std = torch.tensor(video.std, dtype=torch.float32, device=pictures.device)
        return (changes / (255.0 * std)[:, None, None, None]).contiguous()
    scale, shift = scales(video, pictures.device)
    return (pictures.transpose(0, 1) * scale).sub_(shift).contiguous()


def scales(video: VideoInput, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and subtrahend ``(C, 1, 1, 1)`` of each channel, which make values of pixels in 0..255."""
    std = torch.tensor(video.std, dtype=torch.float32)
    scale = 1.0 / (255.0 * std)
    shift = torch.tensor(video.mean, dtype=torch.float32) / std
    return scale[:, None, None, None].to(device), shift[:, None, None, None].to(device)


def sound_span(times: NDArray[np.float64], sound: SoundInput, step: float | None = None) -> tuple[float, float]:
    """Start and end in seconds of the sound that belongs to frames at ``times``.

    The stretch runs from the first frame to one frame step after the last, or for ``options["seconds"]``.
    """
    start = float(times[0])
    seconds = sound.options.get("seconds")
    if seconds is not None:
        return start, start + float(seconds)
    gaps = np.diff(times)
    gaps = gaps[gaps > 0]
    usual = float(np.median(gaps)) if len(gaps) else step or _DEFAULT_STEP
    return start, float(times[-1]) + usual


def sound_tensors(clip: Clip, sound: SoundInput) -> dict[str, Tensor]:
    """``sound`` and ``sound_present`` of a clip; see ``to_tensors``."""
    heard = clip.sound is not None and clip.sound.size > 0
    if heard and clip.sound_rate != sound.rate:
        raise MienError(
            f"the clip's sound has {clip.sound_rate} Hz, the model takes {sound.rate}; read it at that rate"
        )
    samples, mask = _placed(clip, sound)
    features = _features(samples, sound)
    values = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
    steps = values.shape[-1]
    centres = ((np.arange(steps) + 0.5) * len(mask) / steps).astype(np.int64)
    present = torch.from_numpy(mask[centres])
    return {"sound": values * present, "sound_present": present}


def _placed(clip: Clip, sound: SoundInput) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Samples of the clip's stretch, zero where nothing was heard, and which of them were heard."""
    given = clip.sound if clip.sound is not None else np.zeros(0, dtype=np.float32)
    if len(clip.times):
        start, end = sound_span(clip.times, sound)
    else:
        start = clip.sound_start
        end = start + float(sound.options.get("seconds") or max(len(given) / sound.rate, _DEFAULT_STEP))
    count = max(1, round((end - start) * sound.rate))
    samples, mask = np.zeros(count, dtype=np.float32), np.zeros(count, dtype=bool)
    shift = round((clip.sound_start - start) * sound.rate)
    first, last = max(0, shift), min(count, shift + len(given))
    if last > first:
        samples[first:last] = given[first - shift : last - shift]
        mask[first:last] = True
    return samples, mask


def _features(samples: NDArray[np.float32], sound: SoundInput) -> NDArray[np.float32]:
    options = {name: value for name, value in sound.options.items() if name != "seconds"}
    if sound.features == "waveform":
        return samples
    make = getattr(media, sound.features)
    try:
        features: NDArray[np.float32] = make(samples, sound.rate, **options)
    except TypeError as error:
        raise MienError(f"sound options {options} do not fit {sound.features}: {error}") from error
    return features
