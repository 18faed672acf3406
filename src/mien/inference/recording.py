"""One recording through the model: pictures stream in, rows stream out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from mien.data.inputs import sound_span, square, to_tensors
from mien.faces.crop import Cropper
from mien.faces.types import Image, TrackedFrame
from mien.faces.warp import Patch, Square
from mien.inference.abstention import brightness
from mien.inference.average import TrackRows
from mien.inference.forward import Batches, Values
from mien.inference.grid import Grid
from mien.inference.hearing import Hearing
from mien.inference.persons import Person, Span
from mien.inference.settings import PredictSettings
from mien.inference.stopwatch import Stopwatch
from mien.inference.timeline import Rows
from mien.inference.windows import Stretch, Window, sampling_of
from mien.media import Clip
from mien.models.specification import Inputs

LANDMARKS = "landmarks"
Progress = Callable[[float, float], None]  # seconds done, seconds in all


class Recording:
    """Rows of every face of one recording.

    Args:
        inputs: what the model takes; with pictures.
        grid: where rows lie.
        batches: where windows are answered.
        width: number of outputs.
        settings: see ``PredictSettings``.
        hearing: its sound, for models that listen.
        clock: measures stages.
        landmarks: give windows ``LANDMARKS`` beside the model's inputs: float32 ``(T, 5, 2)`` x, y of eyes, nose tip
            and mouth corners as shares of the crop, NaN where the detector gave none. The model does not take them.
    """

    def __init__(
        self,
        inputs: Inputs,
        grid: Grid,
        batches: Batches[Span],
        width: int,
        settings: PredictSettings,
        hearing: Hearing | None,
        clock: Stopwatch,
        landmarks: bool = False,
    ) -> None:
        self._landmarks = landmarks
        assert inputs.video is not None
        self.persons: dict[int, Person] = {}
        self._inputs = inputs
        self._grid = grid
        self._batches = batches
        self._width = width
        self._settings = settings
        self._hearing = hearing
        self._clock = clock
        self._sampling = sampling_of(inputs.video, grid.times, settings.hop, settings.window)
        self._cropper = None if inputs.video.crop is None else Cropper(inputs.video.crop)

    def rows(self, frames: Iterable[TrackedFrame], progress: Progress) -> Iterator[Rows]:
        """Stream the frames of the whole recording; rows come as soon as nothing can change them."""
        for frame in frames:
            yield from self.take(frame)
            progress(self._grid.frame_end(frame.index), self._grid.end)
        yield from self.finish()

    def take(self, frame: TrackedFrame) -> Iterator[Rows]:
        """Take the next frame; rows that nothing can change any more."""
        with self._clock("crop"):
            self._look(frame)
        if self._hearing is not None:
            self._hearing.forget(self._oldest(frame.time))
        yield from self._settle(self._batches.answers())

    def finish(self) -> Iterator[Rows]:
        """All rows that are left: nothing follows."""
        for person in self.persons.values():
            self._leave(person)
        yield from self.rest_of(self.persons)

    def rest_of(self, tracks: Iterable[int]) -> Iterator[Rows]:
        """Rows that are left of tracks whose faces have gone."""
        yield from self._settle(self._batches.answers(all_of_them=True))
        for track in tracks:
            rest = self.persons[track].rows.take(np.inf, last=True)
            if rest is not None:
                yield rest

    def _look(self, frame: TrackedFrame) -> None:
        """Take in one frame: every face that is there, and those that have been away for too long."""
        for face in frame.faces:
            person = self._person(face.track, frame)
            person.trail.add(frame.time, face.box, face.score, person.seen)
            # the crop's path is smoothed over all frames, also those that the model does not see
            place = None if self._cropper is None else self._cropper.place(face.track, frame.time, face)
            assert person.stretch is not None
            if person.stretch.wants(frame.index):
                picture = self._picture(frame.image, place)
                person.light.append((frame.time, brightness(picture)))
                known = place.shares(face.landmarks) if place is not None and face.landmarks is not None else None
                for window in person.stretch.push(frame.index, frame.time, picture, known):
                    self._submit(window)
        for person in self.persons.values():
            if person.stretch is not None and frame.time - person.seen > self._settings.gap:
                self._leave(person)

    def _picture(self, image: Image, place: Square | Patch | None) -> Image:
        """What the model is shown of a frame: the face, or without a crop recipe the middle square."""
        if self._cropper is None or place is None:
            return square(image[None])[0].copy()
        return self._cropper.cut(image, place)

    def _person(self, track: int, frame: TrackedFrame) -> Person:
        if track not in self.persons:
            self.persons[track] = Person(TrackRows(track, frame.time, self._grid, self._width))
        person = self.persons[track]
        if person.stretch is None:
            person.stretch = Stretch(track, self._sampling, frame.index)
        person.rows.see(frame.index)
        person.seen = self._grid.frame_end(frame.index)
        return person

    def _leave(self, person: Person) -> None:
        """The face has gone: its last window, and a mark behind which all its rows so far are final."""
        if person.stretch is None:
            return
        track = person.rows.track
        person.stays.append((float(self._grid.times[person.stretch.first]), person.seen))
        for window in person.stretch.finish():
            self._submit(window)
        self._batches.put(Span(track, person.seen, person.seen, (), 0, person.seen, None))
        if self._cropper is not None:
            self._cropper.forget(track)
        person.stretch = None

    def _submit(self, window: Window) -> None:
        times = np.array([sample.time for sample in window.samples])
        clip = Clip(
            np.stack([sample.image for sample in window.samples]),
            times,
            present=np.array([sample.present for sample in window.samples]),
        )
        if self._hearing is not None and self._inputs.sound is not None:
            clip = self._hearing.give(clip, *sound_span(times, self._inputs.sound))
        heard = sounding(clip)
        span = Span(window.track, window.start, window.end, tuple(times), window.valid, window.settled, heard)
        tensors = to_tensors(clip, self._inputs)
        if self._landmarks:
            unknown = np.full((5, 2), np.nan)
            places = [unknown if one.landmarks is None else one.landmarks for one in window.samples]
            tensors[LANDMARKS] = torch.tensor(np.stack(places), dtype=torch.float32)
        self._batches.put(span, tensors)

    def _oldest(self, now: float) -> float:
        """Start of the earliest window that may still come."""
        return min([now, *(person.stretch.oldest for person in self.persons.values() if person.stretch is not None)])

    def _settle(self, answers: Iterable[tuple[Span, Values | None]]) -> Iterator[Rows]:
        for span, values in answers:
            rows = self.persons[span.track].rows
            if values is not None:
                add_answer(rows, span, values)
            done = rows.take(span.settled)
            if done is not None:
                yield done


def sounding(clip: Clip) -> tuple[float, float] | None:
    """Seconds between which a clip has sound."""
    if clip.sound is None or not len(clip.sound):
        return None
    return clip.sound_start, clip.sound_start + len(clip.sound) / clip.sound_rate


def add_answer(rows: TrackRows, span: Span, values: Values) -> None:
    """Place a window's answer on the grid: values per sample at the samples' times, others evenly over the window."""
    if len(values) == 1:
        times = np.array([(span.start + span.end) / 2])
    elif len(values) == len(span.times):
        times, values = np.array(span.times[: span.valid]), values[: span.valid]
    else:
        times = span.start + (np.arange(len(values)) + 0.5) * (span.end - span.start) / len(values)
    rows.add(span.start, span.end, times, values, span.heard)
