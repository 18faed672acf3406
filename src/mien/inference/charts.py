"""Curves and bands as inline SVG that stretches to the page; it holds no words, which stretching would distort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.inference.colours import class_colour
from mien.inference.timeline import complete

WIDTH = 1000.0  # of the drawing in its own units; the page scales it
_TOUCH = 1e-4  # seconds: what overlaps by less does not overlap
POINTS = 600  # columns at most; longer recordings are averaged down to that


@dataclass(frozen=True)
class Series:
    """Curves of one face, thinned for drawing.

    Attributes:
        edges: float ``(B + 1,)`` seconds, the borders of the columns.
        values: float ``(B, K)``, mean over each column's rows; NaN where nothing was seen.
        duration: length of the recording in seconds.
        begins, ends: float ``(B,)`` seconds, the part of a column in which something was seen; its borders where
            nothing was.
    """

    edges: NDArray[np.float64]
    values: NDArray[np.float64]
    duration: float
    begins: NDArray[np.float64]
    ends: NDArray[np.float64]

    @property
    def centres(self) -> NDArray[np.float64]:
        """Seconds in the middle of the columns, ``(B,)``."""
        return (self.edges[:-1] + self.edges[1:]) / 2

    def span(self, first: int, last: int) -> NDArray[np.float64]:
        """From when to when something was seen in columns ``first`` to ``last - 1``, seconds ``(2,)``."""
        return np.array([self.begins[first], self.ends[last - 1]])

    def x(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Horizontal position of moments, 0..``WIDTH``."""
        return seconds / max(self.duration, 1e-9) * WIDTH


def thin(rows: pd.DataFrame, names: Sequence[str], duration: float) -> Series:
    """Average the rows of one face into at most ``POINTS`` columns over the whole recording.

    A column takes the mean of all rows that it touches, so that none stays empty between two rows.
    """
    start = rows.index.get_level_values("start").to_numpy(float)
    end = rows.index.get_level_values("end").to_numpy(float)
    typical = float(np.median(end - start)) if len(rows) else duration
    columns = int(np.clip(np.ceil(duration / max(typical, 1e-6) - 1e-6), 1, POINTS))
    edges = np.linspace(0.0, duration, columns + 1)
    values = rows[list(names)].to_numpy(float)
    seen = ~np.isnan(values)
    first = np.searchsorted(end, edges[:-1] + _TOUCH, side="right")
    last = np.maximum(np.searchsorted(start, edges[1:] - _TOUCH, side="left"), first)
    total, count = (
        np.vstack([np.zeros(len(names)), np.cumsum(part, axis=0)]) for part in (np.where(seen, values, 0.0), seen)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (total[last] - total[first]) / (count[last] - count[first])
    known = np.flatnonzero(seen.any(axis=1))
    begins, ends = edges[:-1].copy(), edges[1:].copy()
    full = np.searchsorted(known, last) > np.searchsorted(known, first)
    begins[full] = np.maximum(begins[full], start[known[np.searchsorted(known, first[full])]])
    ends[full] = np.minimum(ends[full], end[known[np.searchsorted(known, last[full]) - 1]])
    return Series(edges, means, duration, begins, ends)


def stretches(seen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """``[first, last + 1)`` of every unbroken run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _svg(height: float, content: str, kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {WIDTH:.0f} {height:.0f}" preserveAspectRatio="none" '
        f'aria-hidden="true">{content}</svg>'
    )


def bands(series: Series) -> str:
    """Class probabilities ``(B, K)`` stacked to 1, the first class at the bottom."""
    height = 100.0
    shapes = []
    for first, last in stretches(complete(series.values)):
        part = series.values[first:last]
        tops = np.cumsum(part / np.maximum(part.sum(axis=1, keepdims=True), 1e-9), axis=1)
        floors = np.hstack([np.zeros((len(part), 1)), tops[:, :-1]])
        # the outermost columns reach to where seeing begins and ends, so that one column alone is still a band
        begin, end = series.span(first, last)
        x = series.x(np.concatenate([[begin], series.centres[first:last].clip(begin, end), [end]]))
        for k in range(part.shape[1]):
            top, floor = (np.pad(edge[:, k], 1, mode="edge") for edge in (tops, floors))
            outline = _points(np.concatenate([x, x[::-1]]), height * (1 - np.concatenate([top, floor[::-1]])))
            shapes.append(f'<polygon points="{outline}" fill="{class_colour(k)}"/>')
    return _svg(height, "".join(shapes), "bands")


def ribbon(series: Series) -> str:
    """The most probable class over time as one strip."""
    shapes = []
    seen = complete(series.values)
    best = np.where(seen[:, None], series.values, 0.0).argmax(axis=1)
    for k in range(series.values.shape[1]):
        for first, last in stretches(seen & (best == k)):
            a, b = series.x(series.span(first, last))
            shapes.append(f'<rect x="{a:.1f}" y="0" width="{b - a:.1f}" height="10" fill="{class_colour(k)}"/>')
    return _svg(10.0, "".join(shapes), "ribbon")


def presence(rows: pd.DataFrame, duration: float, colour: str) -> str:
    """When this face was seen, as one strip."""
    series = thin(rows[["face"]].where(rows[["face"]] > 0), ["face"], duration)
    shapes = []
    for first, last in stretches(~np.isnan(series.values[:, 0])):
        a, b = series.x(series.span(first, last))
        shapes.append(f'<rect x="{a:.1f}" y="0" width="{b - a:.1f}" height="10" fill="{colour}"/>')
    return _svg(10.0, "".join(shapes), "presence")


def curves(series: Series, low: float, high: float) -> str:
    """One line per output between ``low`` and ``high``, with lines at both ends and in the middle."""
    height = 100.0
    levels = "".join(
        f'<line x1="0" x2="{WIDTH:.0f}" y1="{y:.0f}" y2="{y:.0f}" class="level"/>' for y in (0.0, height / 2, height)
    )
    shapes = [levels]
    x = series.x(series.centres)
    for k in range(series.values.shape[1]):
        y = height * (1 - (np.clip(series.values[:, k], low, high) - low) / max(high - low, 1e-9))
        for first, last in stretches(~np.isnan(y)):
            points = _points(x[first:last], y[first:last])
            if last - first == 1:  # a lone value is drawn as a short dash
                a, b = series.x(series.span(first, last))
                points = f"{a:.1f},{y[first]:.1f} {b:.1f},{y[first]:.1f}"
            shapes.append(f'<polyline points="{points}" stroke="{class_colour(k)}" class="curve"/>')
    return _svg(height, "".join(shapes), "curves")
