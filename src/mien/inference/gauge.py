"""Valence and arousal drawn into pictures: a plane with a trail per face, and curves of the last seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

from mien.inference.charts import stretches
from mien.inference.colours import face_colour
from mien.inference.playback import Playback

AXES = ("valence", "arousal")
TRAIL = 2.0  # seconds of the trail on the plane
MEMORY = 10.0  # seconds of the curves
_GROUND = (16, 20, 28, 150)
_LINE = (255, 255, 255, 110)
_WORD = (255, 255, 255, 220)


class Gauge:
    """Draws into the lower border of pictures of ``size`` (width, height).

    The plane has valence from left (-1) to right (1) and arousal from bottom (-1) to top (1): a value lies at
    ``centre + half side * value``, values beyond the plane at its edge.
    """

    def __init__(self, playback: Playback, size: tuple[int, int], font: ImageFont.FreeTypeFont) -> None:
        self._playback = playback
        self._font = font
        self._unit = min(size) / 360
        edge, side = 8 * self._unit, 0.3 * min(size)
        width, height = size
        self.plane = (width - edge - side, height - edge - side, width - edge, height - edge)
        self.strip = (edge, height - edge - side / 2, width - 2 * edge - side, height - edge)

    def draw(self, canvas: ImageDraw.ImageDraw, time: float, tracks: Sequence[int]) -> None:
        """Draw the state at ``time`` of the faces ``tracks``."""
        self._draw_plane(canvas)
        self._draw_strip(canvas)
        for track in tracks:
            self._trail(canvas, track, time)
            self._curves(canvas, track, time)

    def point(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(valence, arousal) ``(..., 2)`` → pixels x, y."""
        x0, y0, x1, y1 = self.plane
        inside = np.clip(values, -1, 1)
        x = (x0 + x1) / 2 + inside[..., 0] * (x1 - x0) / 2
        y = (y0 + y1) / 2 - inside[..., 1] * (y1 - y0) / 2
        return np.stack([x, y], axis=-1)

    def _draw_plane(self, canvas: ImageDraw.ImageDraw) -> None:
        x0, y0, x1, y1 = self.plane
        x, y, gap = (x0 + x1) / 2, (y0 + y1) / 2, 3 * self._unit
        width = max(round(self._unit), 1)
        canvas.rectangle(self.plane, fill=_GROUND)
        canvas.ellipse(self.plane, outline=_LINE, width=width)
        canvas.line((x0, y, x1, y), fill=_LINE, width=width)
        canvas.line((x, y0, x, y1), fill=_LINE, width=width)
        canvas.text((x, y0 + gap), "excited", _WORD, self._font, anchor="ma")
        canvas.text((x, y1 - gap), "calm", _WORD, self._font, anchor="md")
        canvas.text((x0 + gap, y - gap), "-", _WORD, self._font, anchor="ld")
        canvas.text((x1 - gap, y - gap), "+", _WORD, self._font, anchor="rd")

    def _draw_strip(self, canvas: ImageDraw.ImageDraw) -> None:
        x0, y0, x1, y1 = self.strip
        gap = 3 * self._unit
        canvas.rectangle(self.strip, fill=_GROUND)
        canvas.line((x0, (y0 + y1) / 2, x1, (y0 + y1) / 2), fill=_LINE, width=max(round(self._unit), 1))
        for k, name in enumerate(AXES):
            y = y0 + gap + (k + 0.5) * 1.3 * self._font.size
            canvas.line((x0 + gap, y, x0 + 6 * gap, y), fill=_WORD, width=self._thickness(k))
            canvas.text((x0 + 7 * gap, y), name, _WORD, self._font, anchor="lm")

    def _thickness(self, axis: int) -> int:
        """Valence is drawn thick, arousal thin."""
        return max(round((2.4, 1.0)[axis] * self._unit), 2 - axis)

    def _trail(self, canvas: ImageDraw.ImageDraw, track: int, time: float) -> None:
        times = np.linspace(max(time - TRAIL, 0.0), time, 24)
        course = self._playback.course(track, AXES, times)
        points = self.point(course)
        colour, width = face_colour(track), max(round(1.5 * self._unit), 1)
        for k in range(len(times) - 1):
            if not np.isnan(points[k : k + 2]).any():
                alpha = round(40 + 200 * (k + 1) / len(times))
                canvas.line([tuple(points[k]), tuple(points[k + 1])], fill=(*colour, alpha), width=width)
        if not np.isnan(points[-1]).any():
            x, y = points[-1]
            radius = 4 * self._unit
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), (*colour, 255), (255, 255, 255, 255))

    def _curves(self, canvas: ImageDraw.ImageDraw, track: int, time: float) -> None:
        x0, y0, x1, y1 = self.strip
        times = np.linspace(time - MEMORY, time, max(round((x1 - x0) / 3), 2))
        course = np.clip(self._playback.course(track, AXES, times), -1, 1)
        x = x0 + (times - times[0]) / MEMORY * (x1 - x0)
        for k in range(len(AXES)):
            y = (y0 + y1) / 2 - course[:, k] * (y1 - y0) / 2
            for first, last in stretches(np.asarray(~np.isnan(y))):
                if last - first > 1:
                    points = [(float(a), float(b)) for a, b in zip(x[first:last], y[first:last], strict=True)]
                    canvas.line(points, fill=(*face_colour(track), 255), width=self._thickness(k), joint="curve")
