"""The recording with what was read from it drawn in: boxes, labels, gauges; the sound goes along."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.errors import UsageError
from mien.inference.circumplex import SIDE, Circumplex
from mien.inference.colours import face_colour
from mien.inference.gauge import AXES, Gauge
from mien.inference.playback import Glance, Playback
from mien.inference.prefetch import prefetch
from mien.inference.stopwatch import Stopwatch
from mien.inference.timeline import FileInfo, Timeline
from mien.media import Sound, VideoReader, VideoWriter, sound_chunks

Progress = Callable[[float, float], None]
_RATES = (44100, 48000, 32000, 24000, 22050, 16000, 12000, 11025, 8000)  # that AAC takes
_SHOWN = 3  # continuous outputs in a label


def write_overlay(
    timeline: Timeline, out: str | os.PathLike[str], progress: Progress | None = None, beside: bool = False
) -> Path:
    """Write the overlay of a timeline of one file; see ``Timeline.overlay``.

    Raises:
        UsageError: it holds encoder features or no boxes, or the recording has no picture.
        MienError: the recording cannot be read any more, or ``out`` cannot be written.
    """
    (info,) = timeline.files.values()
    if timeline.kind == "features":
        raise UsageError("encoder features cannot be drawn; an overlay needs the timeline of predict")
    if not info.width:
        raise UsageError(f"{info.path}: no picture is known of this recording; predict it again, a CSV holds no boxes")
    if Path(out).resolve() == Path(info.path).resolve():
        raise UsageError(f"{out}: the overlay would replace the recording; give it another name")
    if beside:
        check_circumplex(timeline.outputs)
    painter = BesidePainter if beside else Painter
    return redraw(info, lambda size: painter(timeline, size), out, progress)


def check_circumplex(outputs: Sequence[str]) -> None:
    """Refuse what a plane of valence and arousal cannot show.

    Raises:
        UsageError: one of them is not among the outputs.
    """
    if not set(AXES) <= set(outputs):
        raise UsageError(f"a circumplex shows valence and arousal; the model tells {', '.join(outputs)}")


class Paints(Protocol):
    """Draws into the pictures of a recording."""

    output_size: tuple[int, int]

    def paint(self, image: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """The picture ``(H, W, 3)`` of ``time`` seconds with everything that belongs to it."""


def redraw(
    info: FileInfo,
    make_painter: Callable[[tuple[int, int]], Paints],
    out: str | os.PathLike[str],
    progress: Progress | None = None,
) -> Path:
    """Write a recording anew, every picture painted over, its sound along; raises ``MienError`` as ``write_overlay``.

    Args:
        info: of the recording.
        make_painter: made from the size (width, height) of its pictures.
        out: the MP4 file to be.
        progress: called with seconds done and seconds in all.
    """
    with VideoReader(info.path) as video:
        rate = _sound_rate(video)
        painter = make_painter(video.size)
        sound = _paced(info.path, rate, video.duration) if rate else None
        with (
            VideoWriter(out, painter.output_size, fps=info.fps or 25.0, sound_rate=rate, threads=0) as writer,
            closing(prefetch(video.frames(), Stopwatch())) as frames,
        ):
            heard = 0.0
            for frame in frames:
                while sound is not None and heard <= frame.time and (piece := next(sound, None)) is not None:
                    writer.write_sound(piece.samples)
                    heard = piece.end
                writer.write(painter.paint(frame.image, frame.time), frame.time)
                if progress is not None:
                    progress(frame.time, video.duration)
            for piece in sound or ():
                writer.write_sound(piece.samples)
    return Path(out)


def _sound_rate(video: VideoReader) -> int | None:
    """The recording's own rate where AAC takes it, else 44100 Hz; None without sound."""
    if video.info.sound is None:
        return None
    return video.info.sound.rate if video.info.sound.rate in _RATES else _RATES[0]


def _paced(path: str, rate: int, duration: float) -> Iterator[Sound]:
    """The recording's sound from second 0 on in pieces; silence where it begins late."""
    at = 0.0
    for piece in sound_chunks(path, rate, 1.0, start=0.0, end=duration):
        if piece.start - at > 0.5 / rate:
            silence = np.zeros(round((piece.start - at) * rate), dtype=np.float32)
            yield Sound(silence, rate, at)
        at = piece.end
        yield piece


class Painter:
    """Draws a timeline's state into pictures of ``size`` (width, height); lines and letters scale with them."""

    def __init__(self, timeline: Timeline, size: tuple[int, int]) -> None:
        self._timeline = timeline
        self._playback = Playback(timeline)
        self._size = self.output_size = size
        self._unit = min(size) / 360
        self._font = _font(max(14 * self._unit, 9))
        small = _font(max(10 * self._unit, 9))
        self._small = small
        self._gauge = Gauge(self._playback, size, small) if set(AXES) <= set(timeline.outputs) else None

    def paint(self, image: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """A copy of the picture ``(H, W, 3)`` with everything that belongs to ``time`` seconds."""
        picture = Image.fromarray(image)
        canvas = ImageDraw.Draw(picture, "RGBA")
        glances = self._playback.at(time)
        for glance in glances:
            self._face(canvas, glance)
        if self._gauge is not None:
            self._gauge.draw(canvas, time, [glance.track for glance in glances])
        self._tag(canvas, (4 * self._unit, 4 * self._unit), "apparent emotion", (16, 20, 28), self._small)
        return np.asarray(picture)

    def _face(self, canvas: ImageDraw.ImageDraw, glance: Glance) -> None:
        colour = face_colour(glance.track)
        x0, y0, x1, y1 = map(float, glance.box)
        width = max(round(2 * self._unit), 2)
        canvas.rectangle((x0, y0, x1, y1), outline=(0, 0, 0, 160), width=width + 2)
        canvas.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=(*colour, 255), width=width)
        self._tag(canvas, (x0, y0), self._label(glance), colour, self._font, above=True)

    def _label(self, glance: Glance) -> str:
        """``face 0: happiness 0.87``, or the values of continuous outputs."""
        row = glance.row
        if row is None or np.isnan(row[self._timeline.outputs[0]]):
            return f"face {glance.track}"
        if row["abstain"]:
            return f"face {glance.track}: {row['abstain']}"
        if self._timeline.kind == "classification":
            return f"face {glance.track}: {row['prediction']} {row['confidence']:.2f}"
        values = ", ".join(f"{name} {row[name]:+.2f}" for name in self._timeline.outputs[:_SHOWN])
        return f"face {glance.track}: {values}"

    def _tag(
        self,
        canvas: ImageDraw.ImageDraw,
        corner: tuple[float, float],
        text: str,
        colour: tuple[int, int, int],
        font: ImageFont.FreeTypeFont,
        above: bool = False,
    ) -> None:
        """Text on a plate with its left-top corner at ``corner``, or its foot there; always inside the picture."""
        gap = round(3 * self._unit)
        if canvas.textlength(text, font) + 2 * gap > self._size[0]:
            font = self._small
        left, top, right, bottom = canvas.textbbox((0, 0), text, font, anchor="la")
        width, height = right - left + 2 * gap, bottom - min(top, 0) + 2 * gap
        x = float(np.clip(corner[0], 0, max(self._size[0] - width, 0)))
        y = float(np.clip(corner[1] - height if above else corner[1], 0, max(self._size[1] - height, 0)))
        canvas.rectangle((x, y, x + width, y + height), fill=(*colour, 215))
        ink = (0, 0, 0, 255) if sum(colour) > 330 else (255, 255, 255, 255)
        canvas.text((x + gap, y + gap), text, ink, font, anchor="la")


class BesidePainter(Painter):
    """The picture with boxes on the left, the valence-arousal plane on the right (``mien.inference.circumplex``)."""

    def __init__(self, timeline: Timeline, size: tuple[int, int]) -> None:
        super().__init__(timeline, size)
        self._gauge = None
        self._circumplex = Circumplex(self._playback, SIDE, _font(20))
        self.output_size = (2 * SIDE, SIDE)

    def paint(self, image: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """``(SIDE, 2 SIDE, 3)``: everything that belongs to ``time`` seconds."""
        tracks = [glance.track for glance in self._playback.at(time)]
        return self._circumplex.beside(super().paint(image, time), time, tracks)


def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
