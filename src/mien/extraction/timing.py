"""When features are taken: 32 frames spread over a clip, and windows of sound half over each other (ViPER, 2022)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError

STEPS = 32


def frame_choice(frames: int, steps: int = STEPS) -> NDArray[np.int64]:
    """Exactly ``steps`` frames of a clip, first and last included: int64 ``(steps,)``, ascending.

    Clips of 47 frames or more (for 32 steps) give the frames that the published script saves. For shorter ones, where
    it saves fewer or fails, frames repeat so that steps stay evenly spread.
    """
    if frames < 1:
        raise MienError("a clip without frames has no features to take")
    chosen = published_frame_choice(frames, frames, steps) if frames > steps else np.zeros(0, dtype=np.int64)
    if len(chosen) == steps:
        return chosen
    return np.rint(np.linspace(0, frames - 1, steps)).astype(np.int64)


def published_frame_choice(reported: int, decodable: int, steps: int = STEPS) -> NDArray[np.int64]:
    """What ViPER's script saves from a container that reports a number of frames: not always ``steps`` of them.

    Frames are walked through; one is saved if it is the first, the last reported one, or a multiple of
    ``round(reported / (steps - 1) * saved so far)``. The fault: short clips and wrong reports give fewer frames. It
    stops where that multiple is 0 (clips of fewer than about half ``steps`` frames).
    """
    saved: list[int] = []
    for frame in range(decodable):
        if frame not in (0, reported - 1):
            every = round(reported / (steps - 1) * len(saved))
            if every == 0:
                break
            if frame % every:
                continue
        saved.append(frame)
    return np.asarray(saved, dtype=np.int64)


def sound_windows(samples: int, steps: int = STEPS) -> NDArray[np.int64]:
    """Start and length of ``steps`` windows that overlap by half and together cover the sound: int64 ``(steps, 2)``.

    Windows are ``2 samples / (steps + 1)`` long, a real number; starts and ends are cut down to whole samples.
    """
    length = 2 * samples / (steps + 1)
    starts = np.arange(steps) * length / 2
    first = starts.astype(np.int64)
    return np.stack([first, (starts + length).astype(np.int64) - first], axis=1)
