"""One face through a recording: sightings, motion, looks, and the evidence that it is a face. No torch here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from mien.faces.appearance import Gallery, Vector
from mien.faces.types import Detection, Floats, TrackedFace

EVIDENCE = 25  # sightings over which the score is averaged


@dataclass(frozen=True)
class Moment:
    """A frame's place in the stream: running number, number of the shot, time in seconds."""

    number: int
    shot: int
    time: float


@dataclass(frozen=True)
class Sighting:
    """A face seen at a moment."""

    moment: Moment
    face: Detection


class Track:
    """What is known of one face while it is followed.

    Attributes:
        gallery: its looks.
        template: its pixels at the last sighting, to notice when another face takes its place.
        confirmed: whether it counts as a face.
        id: its id once a frame with it has been handed out.
        supported: number of the last frame where a full search found it.
        displaced: whether another face was seen to take its place.
        rival: the track that it was lost beside or behind, while it is lost.
    """

    def __init__(self, moment: Moment, face: Detection, look: Vector) -> None:
        self.gallery = Gallery()
        self.gallery.add(look)
        self.template: Vector | None = None
        self.confirmed = False
        self.id: int | None = None
        self.supported = moment.number
        self.displaced = False
        self.rival: Track | None = None
        self.first = moment
        self._odds: deque[float] = deque(maxlen=EVIDENCE)
        self._velocity = np.zeros(2)
        self._sightings: dict[int, Sighting] = {}
        self.see(moment, face)

    @property
    def last(self) -> Sighting:
        """The latest sighting."""
        return self._sightings[max(self._sightings)]

    @property
    def certainty(self) -> float:
        """Mean score of recent sightings, averaged over log-odds, 0..1."""
        return float(1 / (1 + np.exp(-np.mean(self._odds))))

    def see(self, moment: Moment, face: Detection) -> None:
        """Add a sighting, later or earlier than those before."""
        if self._sightings and moment.number > self.last.moment.number:
            self._velocity = 0.5 * (self._velocity + _velocity(self.last, Sighting(moment, face)))
        if moment.number < self.first.number:
            self.first = moment
        self._sightings[moment.number] = Sighting(moment, face)
        score = min(max(face.score, 1e-6), 1 - 1e-6)
        self._odds.append(float(np.log(score / (1 - score))))

    def seen_at(self, number: int) -> Detection | None:
        """The face as seen in a frame, None where it was not."""
        sighting = self._sightings.get(number)
        return sighting.face if sighting else None

    def take(self, number: int) -> dict[int, Sighting]:
        """Remove and return the sightings from a frame on."""
        taken = {key: self._sightings.pop(key) for key in list(self._sightings) if key >= number}
        self._velocity = np.zeros(2)
        return taken

    def give(self, sightings: dict[int, Sighting]) -> None:
        """Add sightings taken from another track."""
        for number in sorted(sightings):
            self.see(sightings[number].moment, sightings[number].face)

    def empty(self) -> bool:
        """Whether no sighting is left."""
        return not self._sightings

    def expected(self, time: float) -> Floats:
        """Box ``(4,)`` where the face should be at a time: moving on from the last sighting, ever more slowly."""
        ahead = time - self.last.moment.time
        reach = min(ahead, 0.2) if ahead > 0 else 0.0
        return self.last.face.box + np.tile(self._velocity * reach, 2)

    def at(self, moment: Moment, bridge: float) -> TrackedFace | None:
        """The face in a frame: seen, or interpolated within a shot over gaps up to ``bridge`` seconds, or None."""
        assert self.id is not None
        sighting = self._sightings.get(moment.number)
        if sighting is not None:
            face = sighting.face
            return TrackedFace(self.id, face.box, face.score, face.landmarks, "detected")
        before = max((key for key in self._sightings if key < moment.number), default=None)
        after = min((key for key in self._sightings if key > moment.number), default=None)
        if before is None or after is None:
            return None
        return _between(self.id, self._sightings[before], self._sightings[after], moment, bridge)

    def prune(self, number: int) -> None:
        """Forget sightings that no frame after ``number`` can need."""
        anchor = max((key for key in self._sightings if key <= number), default=number)
        for key in [key for key in self._sightings if key < anchor]:
            del self._sightings[key]


def _velocity(old: Sighting, new: Sighting) -> Floats:
    """Pixels per second of the box's centre."""
    passed = max(new.moment.time - old.moment.time, 1e-3)
    moved: Floats = (new.face.box - old.face.box).reshape(2, 2).mean(axis=0) / passed
    return moved


def _between(track: int, before: Sighting, after: Sighting, moment: Moment, bridge: float) -> TrackedFace | None:
    gap = after.moment.time - before.moment.time
    if gap > bridge or before.moment.shot != after.moment.shot:
        return None
    share = (moment.time - before.moment.time) / gap if gap > 0 else 0.5
    box = (1 - share) * before.face.box + share * after.face.box
    points = None
    if before.face.landmarks is not None and after.face.landmarks is not None:
        points = (1 - share) * before.face.landmarks + share * after.face.landmarks
    return TrackedFace(track, box, 0.5 * min(before.face.score, after.face.score), points, "interpolated")
