"""Frames from a camera or from memory: rows of the timeline as soon as nothing can change them any more."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.checkpoints.bundle import Bundle
from mien.errors import UsageError
from mien.faces import TrackedFrame
from mien.inference.assembly import Assembly
from mien.inference.forward import Batches, Predictor
from mien.inference.hearing import Hearing
from mien.inference.persons import Person, Span
from mien.inference.pipeline import PathLike, checked
from mien.inference.recording import Recording
from mien.inference.settings import PredictSettings
from mien.inference.stopwatch import Stopwatch
from mien.inference.timeline import FileInfo, Rows, Timeline
from mien.inference.voice import silent_rows, uncovered
from mien.inference.watching import find
from mien.media import Frame, Sound

Moment: TypeAlias = tuple[float, NDArray[np.uint8]] | tuple[float, NDArray[np.uint8], Sound | None]
LONGEST = 12 * 3600.0  # seconds of a stream; the clock of so many hours takes some 20 MB
HELD = 3  # frames: a gap no longer than that shows the frame before


def predict_frames(
    frames: Iterable[Moment],
    model: Bundle | PathLike,
    fps: float,
    settings: PredictSettings | None = None,
    *,
    name: str = "live",
) -> Iterator[Timeline]:
    """Read apparent emotion from frames as they come: of a camera, of a call, of an array in memory.

    What comes is the timeline that ``predict`` makes of a recording, in pieces: rows are given once nothing can change
    them, which is about the length of the model's window and half a second after their moment. A frame is taken when
    the one before has been worked on, so a source that drops what nobody asks for keeps pace with slow machines. Memory
    does not grow. ``mien.inference.join_timelines`` makes pieces one. Two things differ from ``predict``: outputs are
    not smoothed over time, and somebody who comes back after more than ``settings.gap`` leaves no rows in between.

    Args:
        frames: ``(time, image)`` or ``(time, image, sound)``: seconds on any clock, ascending; uint8 ``(H, W, 3)`` RGB,
            all of one size; a ``mien.media.Sound`` on the same clock, at the rate that the model hears, or None. Sound
            comes best ahead of the pictures that it belongs to: a window is heard as far as it is there.
        model: a bundle, or where it lies; it must see.
        fps: frames per second, about which the times may waver. A frame that comes too early for them is left out,
            of up to three missing ones the frame before takes the place.
        settings: as for ``predict``; ``batch`` is 1 unless it is given.
        name: stands in the column ``file``.

    Raises:
        UsageError: the model does not see, frames are none or do not ascend, sound has another rate, or the stream is
            longer than 12 hours.

    Example:
        >>> camera = ((number / 25, numpy.zeros((240, 320, 3), numpy.uint8)) for number in range(50))
        >>> for timeline in mien.predict_frames(camera, "runs/mine/bundle", fps=25):
        ...     print(timeline.frame)
    """
    _, bundle, settings = checked(name, model, settings)
    if bundle.specification.inputs.video is None:
        raise UsageError(f"the model {bundle.specification.model} takes no pictures; frames need one that sees")
    if not 0 < fps <= 1000:
        raise UsageError(f"fps={fps}: give frames per second above 0")
    settings = settings.model_copy(update={"batch": settings.batch or 1})
    return _Live(bundle, settings, fps, name).pieces(frames)


class _Live:
    """One stream of frames on a regular clock that begins with the first of them."""

    def __init__(self, bundle: Bundle, settings: PredictSettings, fps: float, name: str) -> None:
        inputs = bundle.specification.inputs
        assert inputs.video is not None
        self._fps = fps
        self._whole = inputs.video.crop is None
        self._settings = settings
        reader = Predictor(bundle, settings)
        self._width = reader.width
        self._assembly = Assembly(bundle, reader, settings)
        self._grid = self._assembly.grid(np.arange(round(LONGEST * fps)) / fps, LONGEST)
        self._clock = Stopwatch()
        self._hearing = None if inputs.sound is None else Hearing(None, inputs.sound.rate)
        self._batches: Batches[Span] = Batches(reader, settings, self._clock)
        self._recording = Recording(
            inputs, self._grid, self._batches, self._width, settings, self._hearing, self._clock
        )
        self._file = FileInfo(name, 0.0, fps=fps, sound=self._hearing is not None)
        self._zero = 0.0  # the first frame's time
        self._told = 0.0  # seconds until which rows of nobody are out
        self._departed: dict[int, Person] = {}  # faces that have just gone
        self._lives: list[tuple[float, float]] = []  # of faces that have gone, as far as they reach beyond that

    def pieces(self, frames: Iterable[Moment]) -> Iterator[Timeline]:
        """Timelines of what is settled, one after the other; empty ones are left out."""
        with closing(self._batches), closing(self._ticks(frames)) as ticks:
            seen = find(ticks, self._settings, self._whole, self._clock)
            end = 0.0
            for frame in seen:
                blocks = [*self._recording.take(frame), *self._leave(frame), *self._nobody(frame.time)]
                end = self._grid.frame_end(frame.index)
                if blocks:
                    yield self._timeline(blocks, end)
            blocks = list(self._recording.finish())
            self._lives += [(person.rows.start, person.rows.end) for person in self._recording.persons.values()]
            blocks += silent_rows(uncovered([*self._lives, (0.0, self._told)], end), self._grid, self._width)
            if blocks:
                yield self._timeline(blocks, end)

    def _ticks(self, moments: Iterable[Moment]) -> Generator[Frame]:
        """Frames at the ticks of the clock."""
        last: Frame | None = None
        for moment in moments:
            time, image = self._checked(moment, last)
            if last is None:
                self._zero = time
            index = round((time - self._zero) * self._fps)
            if index >= len(self._grid.times):
                raise UsageError(f"the stream is longer than {LONGEST / 3600:g} hours; begin another one")
            if len(moment) == 3 and moment[2] is not None:
                self._hear(moment[2])
            if last is not None:
                if index <= last.index:
                    continue
                missing = range(last.index + 1, index) if index - last.index <= HELD + 1 else ()
                yield from (Frame(number, number / self._fps, last.image) for number in missing)
            last = Frame(index, index / self._fps, image)
            yield last

    def _checked(self, moment: Any, last: Frame | None) -> tuple[float, NDArray[np.uint8]]:
        """Time and picture; a copy, since cameras fill the same memory again while the face is still followed."""
        if not isinstance(moment, tuple) or len(moment) not in (2, 3):
            raise UsageError(f"frames are tuples (time, image) or (time, image, sound); got a {type(moment).__name__}")
        time, image = float(moment[0]), np.array(moment[1])
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise UsageError(f"the frame at {time:g} s is {image.dtype} {image.shape}; give uint8 (H, W, 3) in RGB")
        if last is None:
            self._file = replace(self._file, width=image.shape[1], height=image.shape[0])
            return time, image
        if image.shape != last.image.shape:
            raise UsageError(f"the frame at {time:g} s is {image.shape} after {last.image.shape}; give one size")
        if not time >= self._zero + last.time - 1 / self._fps:
            raise UsageError(f"the frame at {time:g} s comes after one of {self._zero + last.time:g} s; times ascend")
        return time, image

    def _hear(self, sound: Sound) -> None:
        if self._hearing is None:
            return
        if sound.rate != self._hearing.rate:
            raise UsageError(f"sound of {sound.rate} Hz: this model hears {self._hearing.rate} Hz; resample it")
        self._hearing.hear(replace(sound, start=sound.start - self._zero))

    def _leave(self, frame: TrackedFrame) -> Iterator[Rows]:
        """The last rows of faces that have been away for too long; they are forgotten afterwards."""
        persons = self._recording.persons
        gone = [track for track, person in persons.items() if person.stretch is None]
        if not gone:
            return
        yield from self._recording.rest_of(gone)
        self._lives += [(persons[track].rows.start, persons[track].rows.end) for track in gone]
        self._departed = {track: persons.pop(track) for track in gone}

    def _nobody(self, now: float) -> Iterator[Rows]:
        """Rows of whole cells before ``now`` in which nobody was there."""
        reach = float(self._grid.edges[np.searchsorted(self._grid.edges, now + 1e-9, side="right") - 1])
        present = [(person.rows.start, np.inf) for person in self._recording.persons.values()]
        yield from silent_rows(uncovered([*self._lives, *present, (0.0, self._told)], reach), self._grid, self._width)
        self._told = max(self._told, reach)
        self._lives = [life for life in self._lives if life[1] > self._told]

    def _timeline(self, blocks: list[Rows], end: float) -> Timeline:
        """The blocks on the clock of the source; what is known of their time is forgotten."""
        persons = {**self._departed, **self._recording.persons}
        boxes = {track: person.trail.so_far() for track, person in persons.items()}
        file = replace(self._file, duration=round(end, 6))
        known = self._assembly.timeline(file, blocks, persons, boxes)
        for block in blocks:
            if block.track in self._recording.persons:
                self._recording.persons[block.track].forget(float(block.end[-1]))
        self._departed = {}
        return self._on_clock(known)

    def _on_clock(self, timeline: Timeline) -> Timeline:
        if not self._zero:
            return timeline
        frame, tracks = timeline.frame.reset_index(), timeline.tracks.copy()
        for column in ("start", "end"):
            frame[column] = (frame[column] + self._zero).round(6)
        tracks["time"] = (tracks["time"].astype(float) + self._zero).round(6)
        return replace(timeline, frame=frame.set_index(list(timeline.frame.index.names)), tracks=tracks)
