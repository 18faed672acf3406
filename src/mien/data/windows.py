"""The random windows of the published training programs, where they differ from a plain random start.

They count frames, not seconds, and serve to repeat published runs; ``mien.data.sampling.random_window`` is the default.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.seeding import Draws
from mien.errors import UsageError
from mien.models.specification import VideoInput

Indices = NDArray[np.int64]
_USUAL_RATE = 30  # frames per second that the published preparation of RAVDESS takes for granted
WindowRule = Literal["any", "strides", "stretched"]


def published_window(rule: WindowRule, count: int, video: VideoInput, rng: Draws) -> Indices:
    """Frames of one window by a published rule; ``UsageError`` unless the model counts frames (``stride``)."""
    if video.stride is None or video.frames is None:
        raise UsageError(f"windows by the rule {rule!r} count frames; give data.sampling.stride and frames")
    draw = stretched_window if rule == "stretched" else strided_window
    return draw(count, video.frames, video.stride, rng)


def strided_window(count: int, frames: int, stride: int, rng: Draws) -> Indices:
    """Every ``stride``-th frame from a random start that leaves room for ``frames`` whole strides.

    Pretraining of VideoMAE, SVFAP and MAE-DFER. Shorter clips start at 0 and repeat the last frame they reach, which
    is never the clip's last one. The last ``stride - 1`` starts that would fit are never taken.

    Args:
        count: frames of the clip, at least 1.
        frames, stride: of the window.
        rng: draws the start where there is a choice.

    Returns:
        int64 ``(frames,)``.
    """
    room = count - frames * stride
    start = int(rng.integers(room + 1)) if room >= 0 else 0
    last = start + max(count - 2 - start, 0) // stride * stride
    return np.minimum(start + np.arange(frames, dtype=np.int64) * stride, last)


def stretched_window(count: int, frames: int, stride: int, rng: Draws) -> Indices:
    """``frames`` points spread from end to end of a random stretch of ``frames * stride`` frames, cut to whole frames.

    Fine-tuning of SVFAP and MAE-DFER; steps are a little longer than the stride. Clips that are not longer than the
    stretch give ``count // stride`` points, and then their last frame. Arguments and result as ``strided_window``.
    """
    span = frames * stride
    if count <= span:
        points = np.linspace(0, count, count // stride)
        padded = np.concatenate([points, np.full(frames - len(points), float(count))])
        return padded.clip(0, count - 1).astype(np.int64)
    end = span + int(rng.integers(count - span))
    return np.linspace(end - span, end, frames).clip(end - span, end - 1).astype(np.int64)


def leading_window(count: int, frames: int, seconds: float) -> Indices:
    """Middles of ``frames`` equal parts of the first ``seconds`` at 30 frames per second, as far as the clip reaches.

    Preparation of RAVDESS in arXiv 2201.11095, which left out the centring of longer clips that it meant to do.

    Args:
        count: frames of the clip, at least 1.
        frames, seconds: of the window.

    Returns:
        int64, ``frames`` of them or fewer where the clip is shorter.
    """
    span = round(seconds * _USUAL_RATE)
    places = np.arange(frames, dtype=np.int64) * span // frames + span // (2 * frames)
    return places[places < count]


def middle_sound(samples: NDArray[np.float32], wanted: int) -> NDArray[np.float32]:
    """The middle ``wanted`` samples, or all of them followed by silence (the same preparation).

    Sound of exactly that length stays as it is; the published script wrote an empty file.
    """
    surplus = len(samples) - wanted
    if surplus <= 0:
        return np.pad(samples, (0, -surplus))
    return samples[surplus // 2 : surplus // 2 + wanted]
