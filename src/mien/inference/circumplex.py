"""The face beside its place among emotions: recording on the left, valence-arousal plane of the same size on the right.

Geometry as SS-VAERR published it (arXiv 2210.11341): the centre of the plane is neutral, valence runs to the right,
arousal upwards, both from -1 to 1 over the whole side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.inference.colours import face_colour
from mien.inference.gauge import AXES, TRAIL
from mien.inference.playback import Playback

SIDE = 720
MARK = 32
# Where words stand: angle in degrees from the right, counterclockwise (Russell 1980, rounded).
WORDS = (
    ("happy", 10),
    ("delighted", 30),
    ("excited", 50),
    ("astonished", 70),
    ("alarmed", 95),
    ("angry", 115),
    ("afraid", 130),
    ("distressed", 150),
    ("miserable", 188),
    ("sad", 207),
    ("bored", 240),
    ("tired", 265),
    ("sleepy", 278),
    ("calm", 315),
    ("relaxed", 328),
    ("content", 345),
)


def square_at(arousal: float, valence: float, side: int = SIDE, mark: int = MARK) -> tuple[int, int, int, int] | None:
    """First and last + 1 row, first and last + 1 column of the mark; None where it would leave the plane."""
    top, bottom, left, right = corners(arousal, valence, side, mark)
    return (top, bottom, left, right) if min(top, left) >= 0 and max(bottom, right) <= side else None


def corners(arousal: float, valence: float, side: int = SIDE, mark: int = MARK) -> tuple[int, int, int, int]:
    """As ``square_at``, whether it lies inside or not; fractions are cut off towards 0."""
    row, column = side / 2 * (1 - arousal), side / 2 * (1 + valence)
    return int(row - mark / 2), int(row + mark / 2), int(column - mark / 2), int(column + mark / 2)


class Circumplex:
    """Draws the right half of the picture; ``side`` in pixels."""

    def __init__(self, playback: Playback, side: int, font: ImageFont.FreeTypeFont) -> None:
        self._playback = playback
        self._side = side
        self._mark = max(round(MARK * side / SIDE), 4)
        self._font = font
        self._ground = self._draw_ground()

    def beside(self, image: NDArray[np.uint8], time: float, tracks: Sequence[int]) -> NDArray[np.uint8]:
        """``(H, W, 3)`` → ``(side, 2 side, 3)``: the picture on black, and the plane with trails and values."""
        side = self._side
        whole = Image.new("RGB", (2 * side, side))
        picture = Image.fromarray(image)
        scale = side / max(picture.size)
        size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
        whole.paste(picture.resize(size, Image.Resampling.BICUBIC), ((side - size[0]) // 2, (side - size[1]) // 2))
        whole.paste(self._ground, (side, 0))
        canvas = ImageDraw.Draw(whole, "RGBA")
        for line, track in enumerate(tracks):
            self._trail(canvas, track, time, line)
        return np.asarray(whole)

    def _draw_ground(self) -> Image.Image:
        side = self._side
        ground = Image.new("RGB", (side, side))
        canvas = ImageDraw.Draw(ground)
        edge, middle = round(0.06 * side), side // 2
        grey = (150, 150, 150)
        canvas.ellipse((edge, edge, side - edge, side - edge), outline=grey, width=2)
        canvas.line((0, middle, side, middle), fill=grey)
        canvas.line((middle, 0, middle, side), fill=grey)
        for word, degrees in WORDS:
            angle, radius = np.deg2rad(degrees), 0.4 * side
            place = (middle + radius * np.cos(angle), middle - radius * np.sin(angle))
            canvas.text(place, word, (190, 190, 190), self._font, anchor="mm")
        return ground

    def _trail(self, canvas: ImageDraw.ImageDraw, track: int, time: float, line: int) -> None:
        side = self._side
        times = np.linspace(max(time - TRAIL, 0.0), time, 24)
        course = self._playback.course(track, AXES, times)
        points = [(side + side / 2 * (1 + v), side / 2 * (1 - a)) for v, a in np.clip(course, -1, 1)]
        colour = face_colour(track)
        for k in range(len(points) - 1):
            if not np.isnan([*points[k], *points[k + 1]]).any():
                canvas.line([points[k], points[k + 1]], fill=(*colour, round(40 + 160 * k / len(points))), width=3)
        valence, arousal = (float(value) for value in course[-1])
        if np.isnan(valence):
            return
        text = f"face {track}: arousal {arousal:+.2f}  valence {valence:+.2f}"
        inner = side - self._mark  # a mark at the very edge stays whole
        arousal, valence = (float(np.clip(value, -inner / side, inner / side)) for value in (arousal, valence))
        top, bottom, left, right = corners(arousal, valence, side, self._mark)
        canvas.rectangle((side + left, top, side + right - 1, bottom - 1), fill=(*colour, 255))
        canvas.text((side + 8, 6 + 1.3 * line * self._font.size), text, colour, self._font)
