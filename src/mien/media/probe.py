"""What a recording holds: streams, size as shown, rates, durations. Read from packets and one decoded picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import av

from mien.errors import MienError
from mien.media.decoder import HeldPackets, prepare_stream
from mien.media.files import open_recording
from mien.media.index import PictureIndex, PictureSurvey, choose_picture, choose_sound
from mien.media.limits import LIMITS, Limits, WorkClock
from mien.media.packets import read_packets
from mien.media.picture import Orientation, shown_size


@dataclass(frozen=True)
class PictureInfo:
    """The stream of pictures that mien reads.

    Attributes:
        stream: its number in the file.
        codec: name of its decoder.
        pixel_format: as stored, for example ``yuv420p10le``.
        width, height: as shown: upright, with square pixels.
        stored: (width, height) as stored.
        pixel_aspect: width of a stored pixel over its height.
        orientation: how the stored picture is turned to stand upright.
        frames: number of pictures.
        fps: mean frames per second over the recording, from the frames' times.
        duration: seconds from the first picture's appearance to the last one's end.
        zero: presentation time of the first picture on the file's own clock in seconds.
    """

    stream: int
    codec: str
    pixel_format: str
    width: int
    height: int
    stored: tuple[int, int]
    pixel_aspect: float
    orientation: Orientation
    frames: int
    fps: float
    duration: float
    zero: float


@dataclass(frozen=True)
class SoundInfo:
    """The stream of sound that mien reads: number in the file, codec, samples per second and channels as declared."""

    stream: int
    codec: str
    rate: int
    channels: int


@dataclass(frozen=True)
class MediaInfo:
    """What a recording holds. ``picture`` is None for sound alone, ``sound`` where there is none.

    ``duration`` is that of the picture in seconds; of the sound where there is no picture.
    """

    path: str
    format: str
    bytes: int
    duration: float
    picture: PictureInfo | None
    sound: SoundInfo | None


def probe(path: str | os.PathLike[str], limits: Limits = LIMITS) -> MediaInfo:
    """Describe a recording without decoding it: packets are read once, and a single picture is decoded.

    Raises:
        MienError: the file is missing, empty, damaged beyond reading, in no known format or over a limit.
    """
    return survey(path, WorkClock(os.fspath(path), limits))[0]


def survey(
    path: str | os.PathLike[str], clock: WorkClock, keep: bool = False
) -> tuple[MediaInfo, PictureIndex | None, HeldPackets | None]:
    """``probe`` together with the index of the pictures (None where there are none).

    With ``keep`` the file stays open, and its packets of pictures in memory, where they are few and lead to each
    picture as seeking would; the caller closes them. Else the third is None.
    """
    held = None
    container = open_recording(path, clock.limits)
    try:
        with clock.working():
            stream, sound = choose_picture(container), choose_sound(container)
            picture = index = None
            if stream is not None:
                prepare_stream(stream, 1, clock)
                found = PictureSurvey(container, stream, clock)
                if found.first is not None:
                    index = found.index()
                    picture = _describe(stream, found.first, index)
                    clock.limits.check(
                        clock.path, "pixels", picture.width * picture.height, "pixels per frame as shown"
                    )
            if picture is None and sound is None:
                raise MienError(f"{clock.path}: holds no picture that decodes and no sound; the file is damaged")
            heard = sound and SoundInfo(sound.index, sound.codec_context.name, sound.rate, sound.channels)
            duration = picture.duration if picture else _sound_duration(container, sound, clock)
            info = MediaInfo(clock.path, container.format.name, container.size, duration, picture, heard)
        if keep and index is not None and index.seekable and not index.counted and found.packets is not None:
            held = HeldPackets(container, stream, found.packets)
        return info, index, held
    finally:
        if held is None:
            container.close()


def _describe(stream: Any, first: Any, index: PictureIndex) -> PictureInfo:
    orientation = Orientation.of(first)
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    width, height = shown_size(first.width, first.height, aspect, orientation)
    count = len(index.pts)
    times = index.times
    return PictureInfo(
        stream=stream.index,
        codec=stream.codec_context.name,
        pixel_format=first.format.name,
        width=width,
        height=height,
        stored=(first.width, first.height),
        pixel_aspect=aspect,
        orientation=orientation,
        frames=count,
        fps=float((count - 1) / times[-1]) if count > 1 else 1 / index.duration,
        duration=index.duration,
        zero=float(index.pts[0] * index.time_base),
    )


def _sound_duration(container: Any, stream: Any, clock: WorkClock) -> float:
    """Seconds of sound as declared; where nothing is declared, as the packets tell."""
    if container.duration is None:
        ends = [p.pts + (p.duration or 0) for p in read_packets(container, stream, clock) if p.pts is not None]
        seconds = float((max(ends, default=0) - (stream.start_time or 0)) * stream.time_base)
    else:
        seconds = container.duration / av.time_base
    clock.limits.check(clock.path, "duration", seconds, "seconds")
    return seconds
