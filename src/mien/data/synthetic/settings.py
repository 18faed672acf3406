"""What the procedural corpus is made of."""

from __future__ import annotations

from pydantic import Field, model_validator

from mien.checked import Checked
from mien.data.synthetic.units import CLASSES

Span = tuple[float, float]


class SyntheticSettings(Checked):
    """Size and difficulty of a procedural corpus. Equal settings give equal pictures and sound.

    Attributes:
        clips: number of videos, divided over subjects and classes as evenly as possible.
        subjects: number of people.
        seed: of everything that is random.
        seconds: length of a video; ``fps``: its frames per second; ``size``: side of the square picture in pixels.
        sound_rate: samples per second of the voice; None makes silent videos.
        face: smallest and largest half width of a head as a share of ``size``.
        rest: how strongly a person's resting face resembles some expression, 0..1. It belongs to the person.
        mimic: how strongly the face resembles some expression all through a video, 0..1. It is drawn anew for every
            video and says nothing about its class: only what changes does.
        intensity: strength of the expression at its apex, 0..1.
        motion: how much the head moves, 1 is like a person who talks.
        test, validation: shares of the subjects in the column ``split``; the others train.
        folds: number of groups of subjects in the column ``fold``.
    """

    clips: int = Field(default=980, ge=1)
    subjects: int = Field(default=140, ge=1)
    seed: int = Field(default=0, ge=0)
    seconds: float = Field(default=2.0, gt=0.5, le=60)
    fps: float = Field(default=12.0, ge=5, le=60)
    size: int = Field(default=128, ge=64, le=1024, multiple_of=2)
    sound_rate: int | None = Field(default=16000, ge=8000)
    face: Span = (0.24, 0.29)
    rest: Span = (0.1, 0.3)
    mimic: Span = (0.15, 0.45)
    intensity: Span = (0.9, 1.0)
    motion: float = Field(default=0.4, ge=0, le=3)
    test: float = Field(default=0.25, ge=0, lt=1)
    validation: float = Field(default=0.1, ge=0, lt=1)
    folds: int = Field(default=5, ge=2)

    @model_validator(mode="after")
    def _check(self) -> SyntheticSettings:
        if self.clips < self.subjects:
            raise ValueError(f"clips={self.clips} is less than subjects={self.subjects}; give every subject a clip")
        if self.test + self.validation >= 1:
            raise ValueError(f"test={self.test} and validation={self.validation} leave no subject to train on")
        for name in ("face", "rest", "mimic", "intensity"):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= 1:
                raise ValueError(f"{name}=({low}, {high}) must be ascending and within 0..1")
        return self

    @property
    def frames(self) -> int:
        """Pictures of a video."""
        return round(self.seconds * self.fps)

    def clips_of(self, subject: int) -> range:
        """Numbers of the clips of a subject, counted within the subject."""
        return range(self.clips // self.subjects + (subject < self.clips % self.subjects))

    def label_of(self, subject: int, clip: int) -> str:
        """Class of a clip: classes take turns within a subject, and every subject starts with another one."""
        return CLASSES[(subject + clip) % len(CLASSES)]
