"""Recordings → timelines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from typing import TypeAlias

import numpy as np

from mien.checkpoints.bundle import Bundle, load
from mien.errors import MienError, UsageError
from mien.inference.assembly import Assembly
from mien.inference.forward import Batches, Embedder, Predictor, Reader
from mien.inference.grid import Grid, regular_grid
from mien.inference.hearing import Hearing
from mien.inference.persons import Person, Span
from mien.inference.recording import Progress, Recording
from mien.inference.settings import PredictSettings
from mien.inference.smoothing import smoothed
from mien.inference.stopwatch import Stopwatch
from mien.inference.streams import predict_streams, takes_streams_alone
from mien.inference.timeline import FileInfo, Rows, Timeline, join_timelines
from mien.inference.voice import silent_rows, uncovered, voice_rows
from mien.inference.watching import watch
from mien.media import MediaInfo, VideoReader, probe, sound_chunks

PathLike: TypeAlias = str | os.PathLike[str]


def predict(
    path: PathLike | Sequence[PathLike],
    model: Bundle | PathLike,
    settings: PredictSettings | None = None,
    progress: Progress | None = None,
    clock: Stopwatch | None = None,
) -> Timeline:
    """Read apparent emotion from recordings.

    Every face is followed; the model slides over each of them in overlapping windows, whose answers are averaged,
    the middle of a window counting most. Where the bundle says so, outputs are smoothed over time. Memory does not grow
    with the length of a recording, but for the rows.

    Args:
        path: a recording, or several.
        model: a bundle, or where it lies (folder or hub id).
        settings: see ``PredictSettings``.
        progress: called with seconds done and seconds in all.
        clock: collects seconds per stage: decode, detect, follow (with detect and waiting for pictures), crop, model.

    Returns:
        One timeline of all recordings.

    Raises:
        MienError: a recording or the bundle cannot be read, or holds nothing that the model takes.
        UsageError: the bundle has no task.

    Example:
        >>> timeline = mien.predict("talk.mp4", "runs/mine/bundle", mien.PredictSettings(step=0.1))
        >>> timeline.frame.loc["talk.mp4"].groupby("track").mean(numeric_only=True)
    """
    names, bundle, settings = checked(path, model, settings)
    if takes_streams_alone(bundle):
        return predict_streams(names, bundle, settings, progress or _silent)
    timeline = read_with(names, bundle, Predictor(bundle, settings), settings, progress, clock)
    return smoothed(timeline, bundle.specification)


def embed(
    path: PathLike | Sequence[PathLike],
    model: Bundle | PathLike,
    settings: PredictSettings | None = None,
    progress: Progress | None = None,
    clock: Stopwatch | None = None,
) -> Timeline:
    """Features of the encoder over time, for every face; arguments as ``predict``.

    Returns:
        One timeline of all recordings, with a column ``f0``, ``f1``, ... for each of the encoder's ``feature_dim``
        values: those of whole windows, or with ``settings.features="frames"`` of the moments within them.

    Raises:
        MienError: a recording or the bundle cannot be read, or holds nothing that the model takes; or features over
            time are asked of an encoder that has none.

    Example:
        >>> mien.embed("talk.mp4", "runs/mine/bundle").frame.filter(regex="^f[0-9]+$").to_numpy()
    """
    names, bundle, settings = checked(path, model, settings)
    return read_with(names, bundle, Embedder(bundle, settings), settings, progress, clock)


def read_with(
    path: PathLike | Sequence[PathLike],
    bundle: Bundle,
    reader: Reader,
    settings: PredictSettings,
    progress: Progress | None = None,
    clock: Stopwatch | None = None,
    landmarks: bool = False,
) -> Timeline:
    """Timelines of recordings as any reader of windows makes them; arguments as ``predict``.

    With ``landmarks`` the reader also gets where eyes, nose and mouth are in what it is shown, see ``Recording``.
    """
    job = _Job(bundle, reader, settings, progress or _silent, clock or Stopwatch(), landmarks)
    return join_timelines([job.read(name) for name in _names(path)])


def checked(
    path: PathLike | Sequence[PathLike], model: Bundle | PathLike, settings: PredictSettings | None
) -> tuple[list[str], Bundle, PredictSettings]:
    """Names of recordings, bundle and settings as ``predict`` takes them; what else was given is refused."""
    names = _names(path)
    if not isinstance(model, Bundle | str | os.PathLike):
        raise UsageError(f"model is a {type(model).__name__}; give the bundle that mien.load returns, or its folder")
    if not isinstance(settings, PredictSettings | None):
        raise UsageError(f"settings={settings!r}: give mien.PredictSettings, for example PredictSettings(step=0.1)")
    return names, model if isinstance(model, Bundle) else load(model), settings or PredictSettings()


def _names(path: PathLike | Sequence[PathLike]) -> list[str]:
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    strange = [one for one in paths if not isinstance(one, str | os.PathLike)]
    if strange or not paths:
        given = f"a {type(strange[0]).__name__} is no recording" if strange else "no recording is named"
        raise UsageError(f"{given}; give the path of a file, or several")
    names = [os.fspath(one) for one in paths]
    if len(set(names)) < len(names):
        raise UsageError("a recording is named twice; name each once")
    return names


def _silent(done: float, total: float) -> None:
    pass


class _Job:
    """One model over one recording after the other."""

    def __init__(
        self,
        bundle: Bundle,
        reader: Reader,
        settings: PredictSettings,
        progress: Progress,
        clock: Stopwatch,
        landmarks: bool,
    ) -> None:
        self._landmarks = landmarks
        self._reader = reader
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._inputs = bundle.specification.inputs
        self._model = bundle.specification.model
        self._assembly = Assembly(bundle, reader, settings)

    def read(self, path: str) -> Timeline:
        info = probe(path)
        self._check(info)
        with ExitStack() as stack:
            batches: Batches[Span] = Batches(self._reader, self._settings, self._clock)
            stack.callback(batches.close)
            if info.picture is not None and self._inputs.video is not None:
                video = stack.enter_context(VideoReader(path))
                return self._watch(info, video, batches)
            return self._listen(info, batches)

    def _check(self, info: MediaInfo) -> None:
        """Whether there is anything in the recording that the model takes."""
        sees, hears = self._inputs.video is not None, self._inputs.sound is not None
        if not sees and not hears:
            raise MienError(f"the model {self._model} takes prepared feature streams, not recordings")
        if (sees and info.picture) or (hears and info.sound):
            return
        if sees and not hears:
            raise MienError(f"{info.path}: holds sound only, and the model {self._model} sees but does not hear")
        raise MienError(f"{info.path}: has no sound, and the model {self._model} hears but does not see")

    def _watch(self, info: MediaInfo, video: VideoReader, batches: Batches[Span]) -> Timeline:
        """A recording with pictures, for a model that sees."""
        assert self._inputs.video is not None
        grid = self._assembly.grid(video.times, video.duration)
        listens = self._inputs.sound is not None and info.sound is not None
        with ExitStack() as stack:
            hearing = stack.enter_context(self._hearing(info.path)) if listens else None
            width = self._reader.width
            recording = Recording(
                self._inputs, grid, batches, width, self._settings, hearing, self._clock, self._landmarks
            )
            whole = self._inputs.video.crop is None
            frames = stack.enter_context(closing(watch(video, self._settings, whole, self._clock)))
            blocks = list(recording.rows(frames, self._progress))
        persons = recording.persons
        # a track has rows as long as it lives; somebody who listens also hears what is said while it is out of sight
        lives = [(person.rows.start, person.rows.end) for person in persons.values()]
        if listens:
            lives = [stay for person in persons.values() for stay in person.stays]
        blocks += self._faceless(info.path, uncovered(lives, grid.end), grid, batches, listens)
        return self._timeline(info, grid, blocks, persons)

    def _listen(self, info: MediaInfo, batches: Batches[Span]) -> Timeline:
        """Sound alone: of a recording without pictures, or for a model that does not see."""
        duration = info.duration if info.picture else self._sound_end(info.path)
        grid = regular_grid(np.zeros(0), duration, self._assembly.step)
        return self._timeline(info, grid, self._faceless(info.path, [(0.0, grid.end)], grid, batches, True), {})

    def _faceless(
        self, path: str, stretches: list[tuple[float, float]], grid: Grid, batches: Batches[Span], listens: bool
    ) -> list[Rows]:
        """Rows of the stretches without a face."""
        width = self._reader.width
        if not listens:
            return list(silent_rows(stretches, grid, width))
        with self._hearing(path) as hearing:
            return list(voice_rows(stretches, grid, hearing, self._inputs, batches, width, self._settings.window))

    def _hearing(self, path: str) -> Hearing:
        assert self._inputs.sound is not None
        return Hearing(path, self._inputs.sound.rate)

    def _sound_end(self, path: str) -> float:
        """Where the sound ends in seconds; not all containers say it, so it is decoded once."""
        assert self._inputs.sound is not None
        return max((piece.end for piece in sound_chunks(path, self._inputs.sound.rate)), default=0.0)

    def _timeline(self, info: MediaInfo, grid: Grid, blocks: Iterable[Rows], persons: dict[int, Person]) -> Timeline:
        picture = info.picture
        file = FileInfo(
            info.path,
            round(grid.end, 6),
            picture.width if picture else 0,
            picture.height if picture else 0,
            round(picture.fps, 6) if picture and np.isfinite(picture.fps) else 0.0,
            info.sound is not None,
        )
        boxes = {track: person.trail.samples() for track, person in persons.items()}
        return self._assembly.timeline(file, blocks, persons, boxes, len(grid.times) == 0)
