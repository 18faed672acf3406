"""What is known of one face while a recording streams past."""

from __future__ import annotations

from dataclasses import dataclass, field

from mien.inference.average import TrackRows
from mien.inference.boxes import BoxTrail
from mien.inference.windows import Stretch


@dataclass
class Person:
    """One track: its rows, its boxes, and the stretch that is under way (None while the face is out of sight).

    ``stays`` are the spans in seconds in which it was there, losses shorter than ``PredictSettings.gap`` included.
    """

    rows: TrackRows
    trail: BoxTrail = field(default_factory=BoxTrail)
    stretch: Stretch | None = None
    seen: float = 0.0  # seconds until which it was there
    light: list[tuple[float, float]] = field(default_factory=list)  # time and brightness of what the model is shown
    stays: list[tuple[float, float]] = field(default_factory=list)

    def forget(self, before: float) -> None:
        """Drop what is known from before that moment, when all its rows are out."""
        self.trail.forget(before)
        gone = sum(time < before for time, _ in self.light)
        del self.light[: max(gone - 1, 0)]


@dataclass(frozen=True)
class Span:
    """What the pipeline remembers of a window while the model works on it.

    Attributes:
        track: id.
        start, end: seconds that it covers.
        times: seconds of its samples.
        valid: how many of them are its own.
        settled: seconds before which nothing of this track will change any more, once the answer is in.
        heard: seconds between which there is sound in it; None where there is none.
    """

    track: int
    start: float
    end: float
    times: tuple[float, ...]
    valid: int
    settled: float
    heard: tuple[float, float] | None
