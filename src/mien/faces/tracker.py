"""Faces through a recording: a stream of frames in, the same frames with their faces out. No torch here.

A full search every n frames finds new faces; in between, the detector looks only where known faces are expected,
which costs little and shakes less. A new face is followed back to the frame where it first shows. Frames are handed
out after a short delay, when it is settled which faces are in them, so that memory does not grow with the recording.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np

from mien.faces.appearance import Vector, describe, template
from mien.faces.association import by_person, by_place
from mien.faces.boxes import overlap, suppress
from mien.faces.cuts import CutDetector
from mien.faces.settings import TrackingSettings
from mien.faces.track import Moment, Track
from mien.faces.types import Detection, Detector, Floats, Frame, Image, TrackedFrame

ONE_FACE = 0.5  # boxes in one frame that share more than this are one face
LIKE_PIXELS, LIKE_LOOKS = 0.75, 0.72  # likeness from one frame to the next; with less of both it is another face
ALONE = 0.05  # boxes that share more than this show a part of each other's face
RETRY = 2  # frames between full searches for a face that was just lost


class FaceTracker:
    """Follows all faces of a recording, with ids that stay through cuts, crossings and short losses.

    Args:
        detector: finds faces; MTCNN by default.
        settings: how to follow.
    """

    def __init__(self, detector: Detector | None = None, settings: TrackingSettings | None = None) -> None:
        if detector is None:
            from mien.faces.mtcnn import MTCNN

            detector = MTCNN()
        self.detector = detector
        self.settings = settings or TrackingSettings()

    def follow(self, frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        """Every frame with its faces, in order. Ids count from 0 in order of appearance.

        Args:
            frames: one recording's frames in order of time, uint8 RGB, all of one size; read as needed. At most as
                many are held as ``every`` or the seconds of ``min_length`` and ``bridge`` make, whichever is most.
        """
        run = _Run(self.detector, self.settings)
        for frame in frames:
            yield from run.add(frame)
        yield from run.finish()


class _Run:
    """One pass over one recording."""

    def __init__(self, detector: Detector, settings: TrackingSettings) -> None:
        self._detector = detector
        self._settings = settings
        self._certainty = detector.certainty if settings.certainty is None else settings.certainty
        self._cuts = CutDetector()
        self._held: deque[tuple[Moment, Frame]] = deque()
        self._active: list[Track] = []
        self._resting: list[Track] = []
        self._searched = -settings.every
        self._people = 0

    def add(self, frame: Frame) -> Iterator[TrackedFrame]:
        """Take the next frame; hand out those that are settled."""
        moment = self._moment(frame)
        self._held.append((moment, frame))
        lost = self._revisit(moment, frame.image)
        self._part_merged(moment, frame.image)
        waited = moment.number - self._searched
        if waited >= self._settings.every or (lost and waited >= RETRY):
            self._searched = moment.number
            self._search(moment, frame.image)
        self._judge(moment)
        while self._held and self._settled(self._held[0][0], moment):
            yield self._handed_out()

    def finish(self) -> Iterator[TrackedFrame]:
        """Hand out the rest; a face seen throughout counts even if the recording is shorter than a track should be."""
        for track in self._active:
            whole = track.first.number == 0 and self._held and track.seen_at(self._held[-1][0].number) is not None
            if whole and track.certainty >= self._certainty:
                track.confirmed = True
        while self._held:
            yield self._handed_out()

    def _moment(self, frame: Frame) -> Moment:
        """The frame's place in the stream; at a cut all tracks rest, and a full search is due."""
        cut = self._cuts.is_cut(frame.image)
        if not self._held:
            return Moment(0, 0, frame.time)
        last = self._held[-1][0]
        if cut:
            for track in list(self._active):
                self._rest(track)
            self._searched = last.number + 1 - self._settings.every
        return Moment(last.number + 1, last.shot + cut, frame.time)

    def _revisit(self, moment: Moment, image: Image) -> bool:
        """Look where known faces should be; returns whether one that was there a frame ago is not."""
        lost = False
        boxes = np.stack([track.expected(moment.time) for track in self._active]) if self._active else np.zeros((0, 4))
        for track, face in zip(list(self._active), self._detector.refine(image, boxes), strict=True):
            fresh = track.last.moment.number == moment.number - 1
            if face is None:
                lost |= fresh
                continue
            pixels = template(image, face)
            if fresh and self._replaced(track, pixels, image, face):
                self._rest(track)
                lost = True
                continue
            track.template = pixels
            track.see(moment, face)
        return lost

    def _replaced(self, track: Track, pixels: Vector, image: Image, face: Detection) -> bool:
        """Whether another face has taken the place of a track's face since the last frame."""
        if track.template is None or float(pixels @ track.template) >= LIKE_PIXELS:
            return False
        before = describe(self._image(track.last.moment), track.last.face)
        track.displaced = float(describe(image, face) @ before) < LIKE_LOOKS
        return track.displaced

    def _part_merged(self, moment: Moment, image: Image) -> None:
        """Where two tracks have come to see one face (one person passes another), the less likely one rests."""
        seen = [(track, face) for track in self._active if (face := track.seen_at(moment.number)) is not None]
        for (one, first), (other, second) in combinations(seen, 2):
            if one not in self._active or other not in self._active:
                continue
            if _shared(first, second) <= ONE_FACE:
                continue
            if one.confirmed != other.confirmed:
                loser = other if one.confirmed else one
            else:
                look = describe(image, first)
                loser = min((one, other), key=lambda track: track.gallery.similarity(look))
            winner = other if loser is one else one
            loser.take(moment.number)
            loser.rival = winner
            self._rest(loser)

    def _search(self, moment: Moment, image: Image) -> None:
        """Find all faces of a frame: support known ones, welcome back lost ones, begin new tracks."""
        found = self._detector.detect(image[None])[0]
        boxes = _boxes(found)
        expected = [track.seen_at(moment.number) for track in self._active]
        places = np.array(
            [
                face.box if face else track.expected(moment.time)
                for face, track in zip(expected, self._active, strict=True)
            ]
        )
        pairs = by_place(places, boxes)
        for i, j in pairs:
            track = self._active[i]
            face = expected[i] or self._detector.refine(image, boxes[j : j + 1])[0]
            if face is not None:
                track.supported = moment.number
                if expected[i] is None:
                    track.see(moment, face)
        self._drop_unsupported(moment)
        self._learn(moment, image)
        self._welcome(moment, image, np.delete(boxes, [j for _, j in pairs], axis=0))

    def _drop_unsupported(self, moment: Moment) -> None:
        """End tracks that have slid off a face: several full searches missed them, and what they see is no face."""
        for track in list(self._active):
            alone = moment.number - track.supported >= 3 * self._settings.every
            if alone and track.certainty < self._certainty:
                track.take(track.supported + 1)
                self._rest(track)

    def _learn(self, moment: Moment, image: Image) -> None:
        """Add the looks of faces that stand alone to their galleries."""
        seen = [(track, face) for track in self._active if (face := track.seen_at(moment.number)) is not None]
        boxes = _boxes([face for _, face in seen])
        alone = (overlap(boxes, boxes) > ALONE).sum(axis=1) == 1
        for (track, face), free in zip(seen, alone, strict=True):
            if free:
                track.gallery.add(describe(image, face))

    def _welcome(self, moment: Moment, image: Image, boxes: Floats) -> None:
        """Faces that no active track accounts for: lost people who come back, or new ones."""
        taken = [face for track in self._active if (face := track.seen_at(moment.number)) is not None]
        faces = [face for face in self._detector.refine(image, boxes) if face is not None]
        if not faces:
            return
        kept = suppress(_boxes(faces), np.array([face.score for face in faces]), ONE_FACE, over="smaller")
        faces = [faces[k] for k in kept if not any(_shared(faces[k], other) > ONE_FACE for other in taken)]
        looks = [describe(image, face) for face in faces]
        waiting = [track for track in self._active if track.seen_at(moment.number) is None]
        lost = self._resting + waiting
        back = {j: lost[i] for i, j in by_person(lost, faces, looks, moment, self._settings.same_person)}
        for j, (face, look) in enumerate(zip(faces, looks, strict=True)):
            if j in back:
                self._follow_back(self._brought_back(back[j], moment, image, face, look))
            else:
                self._active.append(Track(moment, face, look))
                self._follow_back(self._active[-1])

    def _brought_back(self, lost: Track, moment: Moment, image: Image, face: Detection, look: Vector) -> Track:
        """The track that goes on with the face of someone who was lost."""
        track = self._awake(lost, look, moment)
        track.template = template(image, face)
        track.supported = moment.number
        track.see(moment, face)
        return track

    def _awake(self, lost: Track, look: Vector, moment: Moment) -> Track:
        """Make a lost track active again, for a face of a certain look in the frame of ``moment``.

        If it was hidden behind another, it is settled once more who is who: where the looks fit better the other way
        round, the lost one gets what the other has seen since, and the other, which is returned, gets the new face.
        """
        if lost in self._resting:
            self._resting.remove(lost)
            self._active.append(lost)
        rival, lost.rival, lost.displaced = lost.rival, None, False
        other = rival.seen_at(moment.number) if rival in self._active else None
        if rival is None or other is None:
            return lost
        its_look = describe(self._image(moment), other)
        stay = lost.gallery.similarity(look) + rival.gallery.similarity(its_look)
        swap = lost.gallery.similarity(its_look) + rival.gallery.similarity(look)
        if swap <= stay + 0.1:
            return lost
        lost.give(rival.take(lost.last.moment.number + 1))
        lost.template = rival.template = None
        return rival

    def _follow_back(self, track: Track) -> None:
        """Follow a new or regained face back through the held frames to where it first shows."""
        known = track.last
        earlier = [other for other in self._active + self._resting if other is not track]
        box, pixels = known.face.box, None
        for moment, frame in reversed(self._held):
            if moment.number >= known.moment.number:
                pixels = template(frame.image, known.face)
                continue
            if moment.shot != known.moment.shot or track.seen_at(moment.number) is not None:
                return
            (face,) = self._detector.refine(frame.image, box[None])
            if face is None or any(_same_place(face, other.seen_at(moment.number)) for other in earlier):
                return
            before = template(frame.image, face)
            if pixels is not None and float(before @ pixels) < LIKE_PIXELS:
                return
            box, pixels = face.box, before
            track.see(moment, face)

    def _judge(self, moment: Moment) -> None:
        """Confirm tracks with enough evidence, rest those not seen for long, forget those that will not come back."""
        step = moment.time - self._held[-2][0].time if len(self._held) > 1 else 0.0
        for track in list(self._active):
            last = track.last.moment
            long = last.time - track.first.time + step >= self._settings.min_length
            seen = last.number == moment.number
            if seen and long and not track.confirmed and track.certainty >= self._certainty:
                track = self._recognised(track)
                track.confirmed = True
            if moment.time - last.time > max(self._settings.bridge, 2.5 * step):
                self._rest(track)
        oldest = self._held[0][0].time
        self._resting = [track for track in self._resting if oldest - track.last.moment.time <= self._settings.remember]

    def _recognised(self, track: Track) -> Track:
        """The lost track that a new one turns out to go on with, now that its face has come into view; else itself."""
        now = track.last
        begun, face = track.first, track.seen_at(track.first.number)
        if face is None:
            begun, face = now.moment, now.face
        look = describe(self._image(now.moment), now.face)
        lost = [other for other in self._resting + self._active if other is not track and other.confirmed]
        pairs = by_person(lost, [face], [look], begun, self._settings.same_person)
        if not pairs:
            return track
        old = self._awake(lost[pairs[0][0]], look, now.moment)
        self._active.remove(track)
        old.give(track.take(0))
        old.template, old.supported = track.template, track.supported
        return old

    def _image(self, moment: Moment) -> Image:
        """The held picture of a moment."""
        return self._held[moment.number - self._held[0][0].number][1].image

    def _rest(self, track: Track) -> None:
        """Stop following a track; one that was never confirmed is dropped."""
        self._active.remove(track)
        if track.rival is None and not track.empty():
            near = [other for other in self._active if other.confirmed and _beside(track.last.face, other.last.face)]
            track.rival = near[0] if near else None
        if track.confirmed and not track.empty():
            self._resting.append(track)

    def _settled(self, moment: Moment, newest: Moment) -> bool:
        """Whether nothing seen later can change the faces of a frame."""
        waited = max(self._settings.min_length, self._settings.bridge)
        return newest.number - moment.number >= self._settings.every and newest.time - moment.time >= waited

    def _handed_out(self) -> TrackedFrame:
        moment, frame = self._held.popleft()
        faces = []
        for track in self._resting + self._active:
            if not track.confirmed or track.first.number > moment.number:
                continue
            if track.id is None:
                track.id, self._people = self._people, self._people + 1
            face = track.at(moment, self._settings.bridge)
            if face is not None:
                faces.append(face)
            track.prune(moment.number)
        return TrackedFrame(frame.index, frame.time, frame.image, tuple(sorted(faces, key=lambda face: face.track)))


def _boxes(faces: list[Detection]) -> Floats:
    return np.stack([face.box for face in faces]) if faces else np.zeros((0, 4))


def _shared(one: Detection, other: Detection) -> float:
    return float(overlap(one.box[None], other.box[None])[0, 0])


def _same_place(face: Detection, other: Detection | None) -> bool:
    return other is not None and _shared(face, other) > ONE_FACE


def _beside(one: Detection, other: Detection) -> bool:
    """Whether one face, with its hair and shoulders, may hide the other."""
    apart = np.linalg.norm((one.box - other.box).reshape(2, 2).mean(axis=0))
    return bool(apart < 1.5 * (other.box[2:] - other.box[:2]).max())
