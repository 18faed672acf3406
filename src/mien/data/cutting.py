"""One recording → face clips: small MP4 files of each face's crop, with the sound of the same moments."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.annotation import write_shifted
from mien.data.gather import Source, clip_path, stretch
from mien.data.openface import aligned_frames
from mien.data.quality import light, loudness, sharpness
from mien.data.settings import PrepareSettings
from mien.data.sources import FrameFolder, is_pictures
from mien.faces import Cropper
from mien.faces.types import Frame, TrackedFace, TrackedFrame
from mien.media import SoundInfo, VideoReader, VideoWriter, probe, sound_chunks

Follow = Callable[[Iterable[Frame]], Iterator[TrackedFrame]]

_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True)
class Strip:
    """A finished clip and what it is made of.

    Attributes:
        track, part: which face, and which of its stretches.
        file: the clip, not yet under its final name.
        start, end: seconds in the source: appearance of the first frame, end of the last.
        frames: pictures; ``share`` of the source's frames between start and end show the face.
        size: mean longer side of the face's box in pixels of the source.
        score: mean confidence.
        light, sharpness: means over the crops, see ``mien.data.quality``.
        loudness: of the sound in dB; None without sound.
    """

    track: int
    part: int
    file: Path
    start: float
    end: float
    frames: int
    share: float
    size: float
    score: float
    light: float
    sharpness: float
    loudness: float | None


def cut_faces(source: Source, out: Path, settings: PrepareSettings, follow: Follow) -> list[dict[str, Any]]:
    """Cut the faces of one source into clips under ``out``.

    A clip runs from its face's first frame to its last and keeps the times of the source. Frames in which the face was
    lost are left out; the sound goes on. Where all faces are wanted, a loss of more than ``settings.max_gap`` seconds
    begins a new clip.

    Returns:
        one record per clip by track and time: what the manifest says of it.

    Raises:
        MienError: the source cannot be read, or the clips cannot be written.
    """
    work = out / ".work" / f"{source.id}-{os.getpid()}"
    main = wants_main(source, settings)
    if main:
        settings = settings.model_copy(update={"min_seconds": 0.0, "max_gap": math.inf})
    try:
        work.mkdir(parents=True, exist_ok=True)
        strips = list(_strips(source, work, settings, follow))
        if main and strips:
            strips = [max(strips, key=lambda strip: (strip.frames * strip.size, -strip.track))]
        strips.sort(key=lambda strip: (strip.track, strip.part))
        return [_keep(strip, source, out, main) for strip in strips]
    finally:
        shutil.rmtree(work, ignore_errors=True)


def wants_main(source: Source, settings: PrepareSettings) -> bool:
    """Whether one face of a source is wanted, however briefly it is seen, or all of them."""
    alone = settings.window is not None or settings.search != "follow" or source.aligned is not None
    return settings.faces == "main" or (settings.faces == "auto" and source.labelled) or alone


def _strips(source: Source, work: Path, settings: PrepareSettings, follow: Follow) -> Iterator[Strip]:
    """Clips of all faces that stay long enough, in one pass over the recording."""
    fixed = settings.window is not None or source.aligned is not None
    cropper = Cropper(settings.crop.model_copy(update={"margin": 0.0}) if fixed else settings.crop)
    running: dict[int, _Growing] = {}
    parts: dict[int, int] = {}
    with _open(source) as (frames, fps, sound_rate):
        for frame in follow(frames):
            for track, strip in list(running.items()):
                if frame.time - strip.last > settings.max_gap:
                    cropper.forget(track)
                    yield from running.pop(track).finish(source)
            for face in frame.faces:
                if face.track not in running:
                    part = parts[face.track] = parts.get(face.track, -1) + 1
                    file = work / f"{face.track}-{part}.mp4"
                    running[face.track] = _Growing(face.track, part, file, frame, settings, fps, sound_rate)
                crop = cropper.crop(face.track, frame.time, frame.image, face)
                running[face.track].add(frame, crop, face)
    for strip in running.values():
        yield from strip.finish(source)


class _Growing:
    """A clip while its face is followed. Crops wait in memory until the face has stayed long enough for a clip."""

    def __init__(
        self,
        track: int,
        part: int,
        file: Path,
        first: TrackedFrame,
        settings: PrepareSettings,
        fps: float,
        sound_rate: int | None,
    ) -> None:
        self.track, self.part, self.file = track, part, file
        self._first = (first.index, first.time)
        self._settings = settings
        self._fps = fps
        self._sound_rate = sound_rate
        self._waiting: list[tuple[float, NDArray[np.uint8]]] = []
        self._writer: VideoWriter | None = None
        self._sums = np.zeros(5)
        self._seen = 0
        self._span = 0
        self.last = first.time

    @property
    def start(self) -> float:
        return self._first[1]

    @property
    def end(self) -> float:
        return self.last + 1 / self._fps

    def add(self, frame: TrackedFrame, crop: NDArray[np.uint8], face: TrackedFace) -> None:
        x0, y0, x1, y1 = map(float, face.box)
        self._sums += (1.0, max(x1 - x0, y1 - y0), float(face.score), light(crop), sharpness(crop))
        self._seen += face.score != 0
        self._span = frame.index - self._first[0] + 1
        self.last = frame.time
        self._waiting.append((frame.time - self.start, crop))
        if self.end - self.start >= self._settings.min_seconds:
            self._write()

    def _write(self) -> None:
        if self._writer is None:
            side, chosen = self._settings.crop.size, self._settings
            self._writer = VideoWriter(
                self.file, (side, side), self._fps, self._sound_rate, chosen.gop, chosen.quality, quick=True,
                exact=chosen.exact,
            )  # fmt: skip
        for time, crop in self._waiting:
            self._writer.write(crop, time)
        self._waiting.clear()

    def finish(self, source: Source) -> Iterator[Strip]:
        """The finished clip, or nothing where the face did not stay long enough."""
        if self._writer is None:
            return
        squares, count = 0.0, 0
        if self._sound_rate is not None:
            for samples in _sound_between(source, self._sound_rate, self.start, self.end):
                self._writer.write_sound(samples)
                squares, count = squares + float(np.square(samples, dtype=np.float64).sum()), count + len(samples)
        self._writer.close()
        frames = int(self._sums[0])
        size, score, bright, sharp = (self._sums[1:] / frames).tolist()
        yield Strip(
            self.track,
            self.part,
            self.file,
            self.start,
            self.end,
            frames,
            self._seen / self._span,
            size,
            score,
            bright,
            sharp,
            loudness(squares, count) if self._sound_rate is not None else None,
        )


def _sound_between(source: Source, rate: int, start: float, end: float) -> Iterator[NDArray[np.float32]]:
    """Sound of a stretch without gaps: silence where the recording has none."""
    at = start
    for sound in sound_chunks(source.row.audio or source.row.path, rate, seconds=10.0, start=start, end=end):
        silence = round((sound.start - at) * rate)
        if silence > 0:
            yield np.zeros(silence, dtype=np.float32)
        yield sound.samples
        at = sound.start + len(sound.samples) / rate


def _keep(strip: Strip, source: Source, out: Path, main: bool) -> dict[str, Any]:
    """Move a clip to its final place; its record for the manifest."""
    suffix = f"{strip.track}" if strip.part == 0 else f"{strip.track}.{strip.part}"
    name = clip_path(source, suffix)
    path = name.with_name(name.name + ".mp4")
    record: dict[str, Any] = {
        "id": source.id if main else f"{source.id}-{suffix}",
        "path": path.as_posix(),
        "source": source.name,
        "source_start": round(strip.start, 6),
        "source_end": round(strip.end, 6),
        "track": strip.track,
        "frames": strip.frames,
        "face_share": round(strip.share, 6),
        "face_size": None if source.aligned else round(strip.size, 3),  # OpenFace's pictures are of one size
        "face_score": None if math.isnan(strip.score) else round(strip.score, 6),
        "sharpness": round(strip.sharpness, 2),
        "light": round(strip.light, 4),
        "loudness": None if strip.loudness is None else round(strip.loudness, 2),
    }
    if source.row.labels is not None:
        labels = Path("labels", *path.parts[1:]).with_suffix(".csv")
        write_shifted(source.row.labels, strip.start, strip.end, out / labels)
        record["labels"] = labels.as_posix()
    (out / path).parent.mkdir(parents=True, exist_ok=True)
    os.replace(strip.file, out / path)
    record["bytes"] = {name: (out / record[name]).stat().st_size for name in ("path", "labels") if name in record}
    return record


@dataclass(frozen=True)
class _Picture:
    index: int
    time: float
    image: NDArray[np.uint8]


@contextmanager
def _open(source: Source) -> Iterator[tuple[Iterable[Frame], float, int | None]]:
    """Frames of a source's stretch, frames per second, and the rate of its sound (None without sound)."""
    row = source.row
    start, end = stretch(row)
    sound = probe(row.audio).sound if row.audio is not None else None
    if is_pictures(row):
        folder = FrameFolder(row.path, row.fps)
        inside = [index for index, time in enumerate(folder.times) if start <= time < row.end]
        pictures = (_Picture(index, float(folder.times[index]), folder.at_indices([index])[0]) for index in inside)
        yield pictures if source.aligned is None else aligned_frames(source), row.fps or 25.0, _sound_rate(sound)
        return
    with VideoReader(row.path) as video:
        fps = video.picture.fps if video.picture.fps > 0 else 25.0
        frames: Iterable[Frame] = video.frames(start, end) if source.aligned is None else aligned_frames(source)
        yield frames, min(fps, 240.0), _sound_rate(sound if row.audio else video.info.sound)


def _sound_rate(sound: SoundInfo | None) -> int | None:
    """The lowest rate that AAC takes and that keeps all of the sound; None where there is none."""
    if sound is None:
        return None
    return next((rate for rate in _AAC_RATES if rate >= sound.rate), _AAC_RATES[-1])
