"""The people of a recording: who is in view, who is lost but remembered, who turns out to be whom. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from mien.faces.appearance import Vector, describe
from mien.faces.association import by_person
from mien.faces.boxes import overlap, shared
from mien.faces.settings import TrackingSettings
from mien.faces.track import Moment, Track
from mien.faces.types import Detection, Floats, Image

ONE_FACE = 0.5  # boxes in one frame that share more than this are one face
ALONE = 0.05  # boxes that share more than this show a part of each other's face


class Cast:
    """Active tracks (looked for in every frame) and resting ones (lost, but remembered for a while).

    Args:
        settings: how to follow.
        certainty: mean score from which a track counts as a face.
    """

    def __init__(self, settings: TrackingSettings, certainty: float) -> None:
        self._settings = settings
        self._certainty = certainty
        self.active: list[Track] = []
        self.resting: list[Track] = []

    def seen(self, moment: Moment) -> list[tuple[Track, Detection]]:
        """Active tracks with a sighting in the frame of ``moment``."""
        return [(track, face) for track in self.active if (face := track.seen_at(moment.number)) is not None]

    def rest(self, track: Track) -> None:
        """Stop looking for a track; one that was never confirmed is forgotten."""
        self.active.remove(track)
        if not track.confirmed or track.empty():
            return
        if track.rival is None:
            near = (other for other in self.active if other.confirmed and _beside(track.last.face, other.last.face))
            track.rival = next(near, None)
        self.resting.append(track)

    def rest_all(self) -> None:
        """Stop looking for all tracks, as at a cut."""
        for track in list(self.active):
            self.rest(track)

    def part_merged(self, moment: Moment, image: Image) -> None:
        """Where two tracks have come to see one face (one person passes another), the less likely one rests."""
        for (one, first), (other, second) in combinations(self.seen(moment), 2):
            if one not in self.active or other not in self.active or shared(first.box, second.box) <= ONE_FACE:
                continue
            if one.confirmed != other.confirmed:
                loser = other if one.confirmed else one
            else:
                look = describe(image, first)
                loser = min((one, other), key=lambda track: track.gallery.similarity(look))
            loser.take(moment.number)
            loser.rival = other if loser is one else one
            self.rest(loser)

    def learn(self, moment: Moment, image: Image) -> None:
        """Add the looks of faces that stand alone to their galleries."""
        seen = self.seen(moment)
        boxes = stacked([face for _, face in seen])
        alone = (overlap(boxes, boxes) > ALONE).sum(axis=1) == 1
        for (track, face), free in zip(seen, alone, strict=True):
            if free:
                track.gallery.add(describe(image, face))

    def drop_unsupported(self, moment: Moment) -> None:
        """End tracks that have slid off a face: several full searches missed them, and what they see is no face."""
        for track in list(self.active):
            alone = moment.number - track.supported >= 3 * self._settings.every
            if alone and track.certainty < self._certainty:
                track.take(track.supported + 1)
                self.rest(track)

    def returning(self, moment: Moment, faces: Sequence[Detection], looks: Sequence[Vector]) -> dict[int, Track]:
        """Which of some new faces belong to people who are lost or not seen in this frame, by their number."""
        lost = self.resting + [track for track in self.active if track.seen_at(moment.number) is None]
        return {j: lost[i] for i, j in by_person(lost, faces, looks, moment, self._settings.same_person)}

    def awake(self, lost: Track, look: Vector, moment: Moment, image: Image) -> Track:
        """Make a lost track active again, for a face of a certain look in the frame of ``moment``.

        If it was lost beside another, it is settled once more who is who: where the looks fit better the other way
        round, the lost one gets what the other has seen since, and the other, which is returned, gets the new face.
        """
        if lost in self.resting:
            self.resting.remove(lost)
            self.active.append(lost)
        rival, lost.rival, lost.displaced = lost.rival, None, False
        other = rival.seen_at(moment.number) if rival in self.active else None
        if rival is None or other is None:
            return lost
        its_look = describe(image, other)
        stay = lost.gallery.similarity(look) + rival.gallery.similarity(its_look)
        swap = lost.gallery.similarity(its_look) + rival.gallery.similarity(look)
        if swap <= stay + 0.1:
            return lost
        lost.give(rival.take(lost.last.moment.number + 1))
        lost.template = rival.template = None
        return rival

    def judge(self, moment: Moment, step: float, image: Image) -> None:
        """Confirm tracks with enough evidence, rest those not seen for long; ``step``: time since the last frame."""
        for track in list(self.active):
            last = track.last.moment
            if last.number == moment.number and not track.confirmed:
                long = last.time - track.first.time + step >= self._settings.min_length
                if long and track.certainty >= self._certainty:
                    self._recognised(track, image).confirmed = True
            elif moment.time - last.time > max(self._settings.bridge, 2.5 * step):
                self.rest(track)

    def judge_last(self, moment: Moment) -> None:
        """Confirm what was seen from the first to the last frame, ``moment``, however short the recording was."""
        for track, _ in self.seen(moment):
            if track.first.number == 0 and track.certainty >= self._certainty:
                track.confirmed = True

    def forget(self, time: float) -> None:
        """Forget those who were last seen too long before a time to be known again."""
        self.resting = [track for track in self.resting if time - track.last.moment.time <= self._settings.remember]

    def _recognised(self, track: Track, image: Image) -> Track:
        """The lost track that a new one turns out to go on with, now that its face has come into view; else itself."""
        now, begun = track.last, track.first
        face = track.seen_at(begun.number)
        if face is None:
            begun, face = now.moment, now.face
        look = describe(image, now.face)
        lost = [other for other in self.resting + self.active if other is not track and other.confirmed]
        pairs = by_person(lost, [face], [look], begun, self._settings.same_person)
        if not pairs:
            return track
        old = self.awake(lost[pairs[0][0]], look, now.moment, image)
        self.active.remove(track)
        old.give(track.take(0))
        old.template, old.supported = track.template, track.supported
        return old


def stacked(faces: Sequence[Detection]) -> Floats:
    """Boxes ``(N, 4)`` of faces."""
    return np.stack([face.box for face in faces]) if faces else np.zeros((0, 4))


def _beside(one: Detection, other: Detection) -> bool:
    """Whether one face, with its hair and shoulders, may hide the other."""
    apart = np.linalg.norm((one.box - other.box).reshape(2, 2).mean(axis=0))
    return bool(apart < 1.5 * (other.box[2:] - other.box[:2]).max())
