"""Small charts as inline SVG that follow the width of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

# Colours that people with any colour vision tell apart (Tol's bright scheme).
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
STYLE = """
.chart { width: 100%; height: auto; display: block; font: 11px system-ui, sans-serif; fill: var(--soft); }
.chart line { stroke: var(--line); }
.bar { display: inline-block; height: .7em; border-radius: .15em; background: #4477aa; min-width: 1px; }
td.bars { width: 45%; min-width: 4rem; }
.plain th:first-child, .plain td:first-child { overflow-wrap: normal; white-space: nowrap; }
.legend span { display: inline-block; margin-right: 1rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin-right: .35em; }
"""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 420, 160, 40, 30, 8


def histogram(values: NDArray[np.float64], unit: str, bins: int = 20) -> str:
    """How often values occur; ``unit`` stands below the axis. Values that are no numbers are left aside."""
    values = values[np.isfinite(values)]
    if not len(values):
        return '<p class="soft">nothing to show</p>'
    low, high = float(values.min()), float(values.max())
    if low == high:
        return f"<p>{low:g} {escape(unit)} throughout</p>"
    counts, edges = np.histogram(values, bins=bins)
    step = (_WIDTH - _LEFT - 8) / bins
    top = counts.max()
    bars = "".join(
        f'<rect x="{_LEFT + at * step:.1f}" y="{_y(count / top):.1f}" width="{step - 1:.1f}" '
        f'height="{_y(0) - _y(count / top):.1f}" fill="{COLOURS[0]}"><title>{edges[at]:.3g} to {edges[at + 1]:.3g}: '
        f"{count:,}</title></rect>"
        for at, count in enumerate(counts)
    )
    label = f"{len(values):,} values from {low:.3g} to {high:.3g} {unit}, most often near {edges[counts.argmax()]:.3g}"
    axis = _axis((low, high), unit) + _level(1.0, f"{top:,}") + _level(0.0, "0")
    return _svg(label, axis + bars)


def courses(lines: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], unit: str = "s") -> str:
    """Values over time: name → (times ``(T,)``, values ``(T,)``); gaps stay open."""
    times = np.concatenate([line[0] for line in lines.values()])
    values = np.concatenate([line[1] for line in lines.values()])
    if not np.isfinite(values).any():
        return '<p class="soft">nothing is rated</p>'
    span = float(np.nanmin(times)), float(np.nanmax(times))
    low, high = min(float(np.nanmin(values)), 0.0), max(float(np.nanmax(values)), 0.0)
    high = high if high > low else low + 1.0
    drawn = ""
    for (name, (at, value)), colour in zip(lines.items(), COLOURS, strict=False):
        path = _path(at, value, span, (low, high))
        drawn += (
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"><title>{escape(name)}</title></path>'
        )
    axis = _axis(span, unit) + _level(1.0, f"{high:.2g}") + _level(0.0, f"{low:.2g}")
    if low < 0 < high:
        axis += _level(-low / (high - low), "0")
    return _svg(
        f"{', '.join(lines)} between {low:.2g} and {high:.2g} over {span[1] - span[0]:.3g} {unit}", axis + drawn
    )


def legend(names: Sequence[str]) -> str:
    """What the colours of ``courses`` stand for."""
    keys = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in zip(names, COLOURS, strict=False)
    )
    return f'<p class="legend soft">{keys}</p>'


def _path(
    at: NDArray[np.float64], value: NDArray[np.float64], span: tuple[float, float], limits: tuple[float, float]
) -> str:
    """At most some 400 points of a line, so that pages stay small."""
    step = max(1, len(at) // 400)
    x = _LEFT + (at[::step] - span[0]) / max(span[1] - span[0], 1e-9) * (_WIDTH - _LEFT - 8)
    y = [_y(share) for share in (value[::step] - limits[0]) / (limits[1] - limits[0])]
    parts, pen = [], "M"
    for one, other in zip(x, y, strict=True):
        if np.isfinite(other):
            parts.append(f"{pen}{one:.1f} {other:.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _level(share: float, text: str) -> str:
    y = _y(share)
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def _axis(span: tuple[float, float], unit: str) -> str:
    places = ((_LEFT, "start", span[0]), ((_LEFT + _WIDTH) / 2, "middle", sum(span) / 2), (_WIDTH - 8, "end", span[1]))
    texts = "".join(
        f'<text x="{x:.0f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="{anchor}">{value:.3g}</text>'
        for x, anchor, value in places
    )
    return texts + f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">{escape(unit)}</text>'


def _svg(label: str, content: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">{content}</svg>'
    )
