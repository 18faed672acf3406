"""Relevance as pictures: a heat map over the face in the recording itself, and one sheet of moments."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.errors import UsageError
from mien.explanation.reader import CELLS
from mien.inference.colours import face_colour
from mien.inference.overlay import Progress, redraw
from mien.inference.playback import Playback
from mien.media import VideoReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from mien.explanation.explain import Explanation

MOST = 6  # moments on a sheet
MARGIN, SMALLEST = 6, 6.0  # pixels beside the text, points of its font
OPACITY = 0.6  # of the hottest place
TOP = 0.995  # share of all cells of a face's maps that lie below the hottest colour
_COLOURS = matplotlib.colormaps["inferno"]
_MARKS = "os^Dv*PXdph<>8H+x1234"  # of classes, beyond any number that a corpus names


class HeatPainter:
    """Paints maps over faces: hot where the model looked, nothing where it did not; one scale per face.

    Args:
        explanation: of one recording.
        size: (width, height) of its pictures.
        titled: write what is explained into the picture.
    """

    def __init__(self, explanation: Explanation, size: tuple[int, int], titled: bool = True) -> None:
        self._explanation = explanation
        self._playback = Playback(explanation.timeline)
        self._tops = {track: _top(explanation.maps(track)) for track in explanation.timeline.faces()}
        self.output_size = size
        self._titled = titled
        self._text = _title(explanation) if titled else ""
        self._font = _fitting(self._text, size)

    def paint(self, image: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """A copy of the picture ``(H, W, 3)`` with the maps of ``time`` seconds."""
        picture = image.astype(np.float32)
        glances = self._playback.at(time)
        for glance in glances:
            if glance.row is not None:
                cells = glance.row[[f"m{cell}" for cell in range(CELLS * CELLS)]].to_numpy(float)
                if not np.isnan(cells).any():
                    self._heat(picture, glance.box, cells.reshape(CELLS, CELLS) / self._tops[glance.track])
        drawn = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
        canvas = ImageDraw.Draw(drawn)
        for glance in glances:
            canvas.rectangle(tuple(map(float, glance.box)), outline=face_colour(glance.track), width=2)
            if self._titled and glance.row is not None and (said := self._said(glance.row)):
                left, bottom = float(glance.box[0]) + MARGIN, min(float(glance.box[3]), drawn.height) - MARGIN
                canvas.text((left, bottom), said, "white", self._font, "ls", stroke_width=2, stroke_fill="black")
        if self._text:
            canvas.text((MARGIN, 4), self._text, "white", self._font, stroke_width=2, stroke_fill="black")
        return np.asarray(drawn)

    def _said(self, row: pd.Series) -> str:
        """The answer at a moment, with its class where every window has its own."""
        if np.isnan(row["answer"]):
            return ""
        return f"{self._explanation.class_of(row) or 'answer'} {row['answer']:.2f}"

    def _heat(self, picture: NDArray[np.float32], box: NDArray[np.float64], shares: NDArray[np.float64]) -> None:
        """Blend a map, 0..1, over the square that the model was shown."""
        height, width = picture.shape[:2]
        x, y, half = _square(box, self._explanation, (width, height))
        x0, y0, x1, y1 = round(x - half), round(y - half), round(x + half), round(y + half)
        side = (max(x1 - x0, 1), max(y1 - y0, 1))
        smooth = Image.fromarray(shares.clip(0, 1).astype(np.float32)).resize(side, Image.Resampling.BICUBIC)
        left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        if left >= right or top >= bottom:
            return
        seen = np.asarray(smooth).clip(0, 1)[top - y0 : bottom - y0, left - x0 : right - x0]
        part = picture[top:bottom, left:right]
        part += (seen * OPACITY)[..., None] * (255 * _COLOURS(seen)[..., :3] - part)


def _title(explanation: Explanation) -> str:
    return f"{explanation.method}: {explanation.explained}"


def _fitting(text: str, size: tuple[int, int]) -> ImageFont.FreeTypeFont:
    """A font in which a text fits into the width of a picture, as far as it can still be read."""
    points = max(min(size) / 26, 10.0)
    while True:
        font = ImageFont.load_default(points)
        assert isinstance(font, ImageFont.FreeTypeFont)
        if points <= SMALLEST or font.getlength(text) <= size[0] - 2 * MARGIN:
            return font
        points -= 1


def _square(box: NDArray[np.float64], explanation: Explanation, size: tuple[int, int]) -> tuple[float, float, float]:
    """Centre and half side of what the model is shown around a box, without the crop's smoothing and turning."""
    x0, y0, x1, y1 = map(float, box)
    if explanation.crop is None:
        return size[0] / 2, size[1] / 2, min(size) / 2
    return (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) * (1 + 2 * explanation.crop.margin) / 2


def _top(maps: NDArray[np.float64]) -> float:
    known = maps[~np.isnan(maps)]
    return max(float(np.quantile(known, TOP)), 1e-9) if known.size else 1.0


def write_heat_video(explanation: Explanation, out: Path, progress: Progress | None = None) -> Path:
    """The recording with maps over its faces, sound included, as MP4."""
    (info,) = explanation.timeline.files.values()
    if not info.width:
        raise UsageError(f"{info.path}: has no picture to draw into")
    if out.resolve() == Path(info.path).resolve():
        raise UsageError(f"{out}: the overlay would replace the recording; give it another name")
    return redraw(info, lambda size: HeatPainter(explanation, size), out, progress)


def contact_sheet(explanation: Explanation) -> bytes:
    """PNG: moments with their maps above, relevance over time and by part of the face below."""
    (info,) = explanation.timeline.files.values()
    table = explanation.table().reset_index()
    parts = [name for name in table if str(name).startswith(("part ", "modality "))]
    times = np.linspace(0, info.duration, MOST + 2)[1:-1]
    figure = Figure(figsize=(2.6 * MOST, 4.6), layout="constrained")
    figure.suptitle(f"{Path(info.path).name}: {_title(explanation)}", fontsize=11)
    above, below = list(figure.subfigures(2, 1, squeeze=False, height_ratios=[0.8, 1]).flat)
    with VideoReader(info.path) as video:
        painter = HeatPainter(explanation, video.size, titled=False)
        for axes, time, image in zip(above.subplots(1, MOST), times, video.at_times(times), strict=True):
            axes.imshow(painter.paint(image, float(time)))
            axes.set_title(f"{time:.1f} s", fontsize=9)
            axes.axis("off")
    sides = np.atleast_1d(below.subfigures(1, 2 if parts else 1))
    _over_time(explanation, table, sides[0].subplots(2, 1, sharex=True))
    if parts:
        axes = sides[1].subplots()
        names = [str(name).removeprefix("part ") for name in parts]
        axes.barh(names[::-1], table[parts].mean()[::-1], color="#0072B2")
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.set_title("what the answer loses when it is hidden (left of 0: it gains)", fontsize=9)
        axes.set_xlabel("answer before − answer after", fontsize=9)
        axes.tick_params(labelsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _over_time(explanation: Explanation, table: pd.DataFrame, panels: Sequence[Axes]) -> None:
    """Relevance above, and the answer below: a line per face, a mark per class where windows have their own."""
    when, answer = panels
    classes = dict(zip(dict.fromkeys(table["class"].dropna()) if "class" in table else (), _MARKS, strict=False))
    for track in explanation.timeline.faces():
        rows = table[table["track"] == track]
        colour = "#{:02x}{:02x}{:02x}".format(*face_colour(track))
        middle = (rows["start"] + rows["end"]) / 2
        when.plot(middle, rows["when"], color=colour, label=f"face {track}")
        answer.plot(middle, rows["answer"], color=colour, linewidth=1)
        for name, mark in classes.items():
            own = rows["class"] == name
            answer.plot(middle[own], rows["answer"][own], mark, color=colour, markersize=4)
    when.axhline(1, color="#999999", linewidth=0.8)
    when.set_ylabel("relevance\n(1: average)", fontsize=8)
    answer.set_ylabel("answer", fontsize=8)
    answer.set_xlabel("seconds", fontsize=9)
    for axes in panels:
        axes.tick_params(labelsize=8)
    when.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    if classes:
        named = [
            answer.plot([], [], mark, color="#555555", markersize=4, label=name)[0] for name, mark in classes.items()
        ]
        answer.legend(handles=named, frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
