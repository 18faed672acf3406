"""Faces through a recording: a stream of frames in, the same frames with their faces out. No torch here.

A full search every n frames finds new faces; in between, the detector looks only where known faces are expected,
which costs little and shakes less. A new face is followed back to the frame where it first shows. Frames are handed
out after a short delay, when it is settled which faces are in them, so that memory does not grow with the recording.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from mien.faces.appearance import Vector, describe, template
from mien.faces.association import by_place
from mien.faces.boxes import shared, suppress
from mien.faces.cast import ONE_FACE, Cast, stacked
from mien.faces.cuts import CutDetector
from mien.faces.settings import TrackingSettings
from mien.faces.track import Moment, Track
from mien.faces.types import Detection, Detector, Floats, Frame, Image, TrackedFrame

LIKE_PIXELS, LIKE_LOOKS = 0.75, 0.72  # likeness from one frame to the next; with less of both it is another face
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
        certainty = detector.certainty if settings.certainty is None else settings.certainty
        self._detector = detector
        self._settings = settings
        self._cast = Cast(settings, certainty)
        self._cuts = CutDetector()
        self._held: deque[tuple[Moment, Frame]] = deque()
        self._searched = -settings.every
        self._people = 0

    def add(self, frame: Frame) -> Iterator[TrackedFrame]:
        """Take the next frame; hand out those that are settled."""
        moment, image = self._moment(frame), frame.image
        self._held.append((moment, frame))
        lost = self._revisit(moment, image)
        self._cast.part_merged(moment, image)
        waited = moment.number - self._searched
        if waited >= self._settings.every or (lost and waited >= RETRY):
            self._searched = moment.number
            self._search(moment, image)
        step = moment.time - self._held[-2][0].time if len(self._held) > 1 else 0.0
        self._cast.judge(moment, step, image)
        self._cast.forget(self._held[0][0].time)
        while self._held and self._settled(self._held[0][0], moment):
            yield self._handed_out()

    def finish(self) -> Iterator[TrackedFrame]:
        """Hand out the rest; a face seen throughout counts even if the recording is shorter than a track should be."""
        if self._held:
            self._cast.judge_last(self._held[-1][0])
        while self._held:
            yield self._handed_out()

    def _moment(self, frame: Frame) -> Moment:
        """The frame's place in the stream; at a cut all tracks rest, and a full search is due."""
        cut = self._cuts.is_cut(frame.image)
        if not self._held:
            return Moment(0, 0, frame.time)
        last = self._held[-1][0]
        if cut:
            self._cast.rest_all()
            self._searched = last.number + 1 - self._settings.every
        return Moment(last.number + 1, last.shot + cut, frame.time)

    def _revisit(self, moment: Moment, image: Image) -> bool:
        """Look where known faces should be; returns whether one that was there a frame ago is not."""
        lost = False
        tracks = list(self._cast.active)
        boxes = np.array([track.expected(moment.time) for track in tracks]).reshape(-1, 4)
        for track, face in zip(tracks, self._detector.refine(image, boxes), strict=True):
            fresh = track.last.moment.number == moment.number - 1
            if face is None:
                lost |= fresh
                continue
            pixels = template(image, face)
            if fresh and self._replaced(track, pixels, image, face):
                track.displaced = lost = True
                self._cast.rest(track)
            elif fresh or track.gallery.similarity(describe(image, face)) >= self._settings.same_person / 2:
                track.template = pixels
                track.see(moment, face)
        return lost

    def _replaced(self, track: Track, pixels: Vector, image: Image, face: Detection) -> bool:
        """Whether another face has taken the place of a track's face since the last frame."""
        if track.template is None or float(pixels @ track.template) >= LIKE_PIXELS:
            return False
        before = describe(self._held[-2][1].image, track.last.face)
        return float(describe(image, face) @ before) < LIKE_LOOKS

    def _search(self, moment: Moment, image: Image) -> None:
        """Find all faces of a frame: support known ones, welcome back lost ones, begin new tracks."""
        boxes = stacked(self._detector.detect(image[None])[0])
        seen = self._cast.seen(moment)
        pairs = by_place(stacked([face for _, face in seen]), boxes)
        for i, _ in pairs:
            seen[i][0].supported = moment.number
        self._cast.drop_unsupported(moment)
        self._cast.learn(moment, image)
        self._welcome(moment, image, np.delete(boxes, [j for _, j in pairs], axis=0))

    def _welcome(self, moment: Moment, image: Image, boxes: Floats) -> None:
        """Faces that no active track accounts for: lost people who come back, or new ones."""
        faces = [face for face in self._detector.refine(image, boxes) if face is not None]
        kept = suppress(stacked(faces), np.array([face.score for face in faces]), ONE_FACE, over="smaller")
        taken = [face.box for _, face in self._cast.seen(moment)]
        faces = [faces[k] for k in kept if all(shared(faces[k].box, box) <= ONE_FACE for box in taken)]
        looks = [describe(image, face) for face in faces]
        back = self._cast.returning(moment, faces, looks)
        for j, (face, look) in enumerate(zip(faces, looks, strict=True)):
            if j in back:
                track = self._cast.awake(back[j], look, moment, image)
                track.see(moment, face)
            else:
                track = Track(moment, face, look)
                self._cast.active.append(track)
            track.template = template(image, face)
            track.supported = moment.number
            self._follow_back(track)

    def _follow_back(self, track: Track) -> None:
        """Follow a new or regained face back through the held frames to where it first shows."""
        known = track.last
        others = [other for other in self._cast.active + self._cast.resting if other is not track]
        box, pixels = known.face.box, track.template
        for moment, frame in reversed(self._held):
            if moment.number >= known.moment.number:
                continue
            if moment.shot != known.moment.shot or track.seen_at(moment.number) is not None:
                return
            (face,) = self._detector.refine(frame.image, box[None])
            there = [seen.box for other in others if (seen := other.seen_at(moment.number)) is not None]
            if face is None or any(shared(face.box, place) > ONE_FACE for place in there):
                return
            before = template(frame.image, face)
            if pixels is not None and float(before @ pixels) < LIKE_PIXELS:
                return
            box, pixels = face.box, before
            track.see(moment, face)

    def _settled(self, moment: Moment, newest: Moment) -> bool:
        """Whether nothing seen later can change the faces of a frame."""
        waited = max(self._settings.min_length, self._settings.bridge)
        return newest.number - moment.number >= self._settings.every and newest.time - moment.time >= waited

    def _handed_out(self) -> TrackedFrame:
        moment, frame = self._held.popleft()
        faces = []
        for track in self._cast.resting + self._cast.active:
            if not track.confirmed or track.first.number > moment.number:
                continue
            if track.id is None:
                track.id, self._people = self._people, self._people + 1
            face = track.at(moment, self._settings.bridge)
            if face is not None:
                faces.append(face)
            track.prune(moment.number)
        return TrackedFrame(frame.index, frame.time, frame.image, tuple(sorted(faces, key=lambda face: face.track)))
