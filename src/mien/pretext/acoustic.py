"""What was heard at every video frame: the targets of LiRA.

Acoustic features come at a rate of their own. A video frame that lasts 40 ms is told by the features of its 40 ms: put
side by side (``stack``) or averaged (``mean``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mien.data.arrays import read_steps
from mien.data.manifest import Row
from mien.errors import MienError, UsageError
from mien.models.specification import SoundInput

Reduce = Literal["stack", "mean"]
KINDS = ("log_mel", "mfcc", "folder", "hubert", "wav2vec2")
RATE = 16000
HOP = 0.01  # seconds between built-in features and between those of PASE+
# 25 ms windows every 10 ms
_SPECTRUM = {"n_fft": 512, "hop": 160, "window": 400, "top_db": None}
SPECTRA: dict[str, dict[str, Any]] = {
    "log_mel": _SPECTRUM | {"bands": 80},
    "mfcc": _SPECTRUM | {"bands": 40, "coefficients": 13},
}


@dataclass(frozen=True)
class Acoustics:
    """Where acoustic features come from and how they meet the frames.

    Attributes:
        kind: ``log_mel`` (80 bands), ``mfcc`` (13 with first and second differences), ``folder`` of precomputed
            features, or a hidden layer of ``hubert`` or ``wav2vec2``.
        source: the folder, or the checkpoint: a folder in the hub's layout or a hub id.
        layer: hidden layer of a checkpoint, 0 is its input.
        hop: seconds between the features of a folder.
        reduce: ``stack`` or ``mean`` of the features of one frame.
        span: seconds around the middle of a frame whose features are averaged, for ``mean``; None: those of the frame.
            What is slow in a voice (its pitch, its level) is told without what every syllable adds.
        centre: ``clip`` takes off the features' mean over the clip, as ``VideoInput.centre`` does with pictures: a
            voice's own pitch and level belong to the person, and cannot be told from what changes in a face.
    """

    kind: str = "log_mel"
    source: str = ""
    layer: int = 6
    hop: float = HOP
    reduce: Reduce = "stack"
    span: float | None = None
    centre: Literal["corpus", "clip"] = "corpus"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"pretext.options.target={self.kind!r} is not known; choose one of {', '.join(KINDS)}")
        if self.kind in ("folder", "hubert", "wav2vec2") and not self.source:
            raise UsageError(f"pretext.options.target={self.kind!r} needs pretext.options.source")
        if self.span is not None and (self.reduce != "mean" or self.span <= 0):
            raise UsageError(f"pretext.options.span={self.span} needs reduce=mean and must be above 0")
        if self.kind == "folder" and not Path(self.source).is_dir():
            raise UsageError(f"pretext.options.source={self.source!r} is no folder of features")

    @property
    def learned(self) -> bool:
        """A network makes the features, from the waveform, while training."""
        return self.kind in ("hubert", "wav2vec2")

    @property
    def sound(self) -> SoundInput | None:
        """What the loader reads of the sound; None where a folder holds the features."""
        if self.kind == "folder":
            return None
        if self.learned:
            return SoundInput(rate=RATE, features="waveform")
        features: Literal["log_mel", "mfcc"] = "log_mel" if self.kind == "log_mel" else "mfcc"
        return SoundInput(rate=RATE, features=features, options=SPECTRA[self.kind])

    @property
    def seconds(self) -> float:
        """Time between features."""
        return 0.02 if self.learned else self.hop if self.kind == "folder" else HOP

    def width(self) -> int:
        """Values of one feature; of a network's see ``mien.pretext.speech``."""
        return {"log_mel": 80, "mfcc": 39}.get(self.kind) or _folder_width(Path(self.source))

    def per_frame(self, step: float) -> int:
        """Features of one video frame of ``step`` seconds."""
        return max(1, round(step / self.seconds))

    def meet(self, values: Tensor, present: Tensor, starts: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """What is heard at every frame, ``(T, D)``, and bool ``(T,)``: there was enough to hear.

        Args:
            values: features ``(L, F)``, the first of them at 0 s.
            present: bool ``(L,)``: the feature is there.
            starts: ``(T,)`` seconds at which frames begin.
            step: how long a frame lasts.
        """
        long = self.span or step
        begun = starts + 0.5 * (step - long)
        heard, there = at_frames(values, present, begun, long, self.seconds, self.per_frame(long))
        if self.reduce == "stack":
            told, known = heard.flatten(1), there.all(dim=1)
        else:
            share = there.to(heard).unsqueeze(-1)
            told = (heard * share).sum(dim=1) / share.sum(dim=1).clamp_min(1.0)
            known = share.mean(dim=(1, 2)) >= 0.5
        if self.centre == "clip" and known.any():
            told = told - told[known].mean(dim=0)
        return told, known


@dataclass(frozen=True)
class Heard:
    """Adds ``heard`` ``(T, D)`` and ``heard_present`` ``(T,)`` to a clip (a ``ClipExtras``).

    Attributes:
        acoustics: not learned.
        step: seconds of a video frame.
    """

    acoustics: Acoustics
    step: float

    def __call__(self, rng: np.random.Generator, item: Mapping[str, Tensor], row: Row) -> dict[str, Tensor]:
        """``MienError`` where the folder lacks the clip's features."""
        times = item["times"]
        if self.acoustics.kind == "folder":
            values, begin = _read(Path(self.acoustics.source), row)
            present, starts = torch.ones(len(values), dtype=torch.bool), times - begin
        else:
            values, present, starts = item["sound"].T, item["sound_present"], times - times[0]
            if self.acoustics.kind == "mfcc":
                values = with_differences(values)
        heard, known = self.acoustics.meet(values, present, starts, self.step)
        valid = torch.arange(len(times)) < int(item["length"])
        return {"heard": heard, "heard_present": known & valid}


def at_frames(
    values: Tensor, present: Tensor, starts: Tensor, step: float, hop: float, count: int
) -> tuple[Tensor, Tensor]:
    """Features of every frame.

    Args:
        values: ``(L, F)``, the l-th of them at ``l · hop`` seconds.
        present: bool ``(L,)``.
        starts: ``(T,)`` seconds at which frames begin.
        step: how long a frame lasts; hop: seconds between features; count: features per frame.

    Returns:
        ``(T, count, F)``, the nearest features at ``count`` even moments of every frame; bool ``(T, count)``: there.
    """
    moments = starts[:, None] + torch.arange(count, dtype=starts.dtype, device=starts.device) * (step / count)
    index = (moments / hop + 1e-4).round().long()
    inside = (index >= 0) & (index <= len(values))  # the last moment may lie just behind the last feature
    index = index.clamp(0, len(values) - 1)
    return values[index], present[index] & inside


def with_differences(values: Tensor) -> Tensor:
    """``(L, F)`` → ``(L, 3F)``: beside the values their first and second differences in time, centred."""
    first = torch.gradient(values, dim=0)[0] if len(values) > 1 else torch.zeros_like(values)
    second = torch.gradient(first, dim=0)[0] if len(values) > 1 else torch.zeros_like(values)
    return torch.cat((values, first, second), dim=1)


def _read(folder: Path, row: Row) -> tuple[Tensor, float]:
    """Features ``(L, F)`` and the time of the first: of the clip (``<id>.npy``) or its file (``<stem>.npy``)."""
    for stem, begin in ((row.id, row.start), (row.path.stem, 0.0)):
        path = folder / f"{stem}.npy"
        if path.is_file():
            return torch.from_numpy(read_steps(path)), begin
    raise MienError(f"{folder} holds no {row.id}.npy or {row.path.stem}.npy with the features of {row.path.name}")


def _folder_width(folder: Path) -> int:
    first = next(iter(sorted(folder.glob("*.npy"))), None)
    if first is None:
        raise UsageError(f"pretext.options.source={folder} holds no .npy file")
    return read_steps(first).shape[1]
