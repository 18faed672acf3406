"""The clip: what is cut out of a recording before anything is learned from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """Frames and sound of one stretch of a recording, on one clock.

    Attributes:
        frames: uint8 ``(T, H, W, C)`` with C = 3 (RGB) or 1 (grey); ``T`` is 0 where the picture is absent.
        times: float64 ``(T,)`` presentation time of every frame in seconds; 0 is the file's first picture.
        sound: float32 ``(S,)`` mono in -1..1, or None where the recording has no sound.
        sound_rate: samples per second of ``sound`` (0 where there is none).
        sound_start: time in seconds of ``sound[0]`` on the clock of ``times``.
        present: bool ``(T,)``: False where the frame could not be seen (no face, decoder gap).
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    sound: NDArray[np.float32] | None = None
    sound_rate: int = 0
    sound_start: float = 0.0
    present: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __post_init__(self) -> None:
        if self.present.shape != self.times.shape:
            object.__setattr__(self, "present", np.ones(self.times.shape, dtype=bool))
