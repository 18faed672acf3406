"""Small charts as inline SVG that follow the width of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

# Colours that people with any colour vision tell apart (Tol's bright scheme).
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
STYLE = """
.chart { width: 100%; height: auto; display: block; font: 11px system-ui, sans-serif; fill: var(--soft); }
.chart line { stroke: var(--line); }
.bar { display: inline-block; height: .7em; border-radius: .15em; background: #4477aa; min-width: 1px; }
.bars { width: 45%; min-width: 4rem; }
.plain th, .plain td { overflow-wrap: normal; white-space: nowrap; min-width: 0; }
@media (max-width: 36rem) { .plain .bars { display: none; } .plain th, .plain td { padding: .2rem .2rem; } }
.legend span { display: inline-block; margin-right: 1rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin-right: .35em; }
"""
Lines = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Name → times ``(T,)`` and values ``(T,)``."""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 420, 160, 40, 30, 8


def histogram(values: NDArray[np.float64], unit: str, bins: int = 20) -> str:
    """How often values occur; ``unit`` stands below the axis. Values that are no numbers are left aside."""
    values = values[np.isfinite(values)]
    if not len(values):
        return '<p class="soft">nothing to show</p>'
    low, high = float(values.min()), float(values.max())
    if low == high:
        return f"<p>{_told(low)} {escape(unit)} throughout</p>"
    counts, edges = np.histogram(values, bins=bins)
    step = (_WIDTH - _LEFT - 8) / bins
    top = counts.max()
    bars = "".join(
        f'<rect x="{_LEFT + at * step:.1f}" y="{_y(count / top):.1f}" width="{step - 1:.1f}" '
        f'height="{_y(0) - _y(count / top):.1f}" fill="{COLOURS[0]}"><title>{_told(edges[at])} to '
        f"{_told(edges[at + 1])}: {count:,}</title></rect>"
        for at, count in enumerate(counts)
    )
    often = _told(edges[counts.argmax()])
    label = f"{len(values):,} values from {_told(low)} to {_told(high)} {unit}, most often near {often}"
    axis = _axis((low, high), unit) + _level(1.0, f"{top:,}") + _level(0.0, "0")
    return _svg(label, axis + bars)


def limits(drawings: Iterable[Lines]) -> tuple[float, float]:
    """Lowest and highest value of several drawings and 0, so that they can be compared."""
    values = np.concatenate([np.zeros(1), *(line[1] for lines in drawings for line in lines.values())])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low, high if high > low else low + 1.0


def courses(lines: Lines, bounds: tuple[float, float], names: Sequence[str], unit: str = "s") -> str:
    """Values over time; gaps stay open. ``bounds``: of the values, see ``limits``; ``names``: see ``legend``."""
    if not any(np.isfinite(line[1]).any() for line in lines.values()):
        return '<p class="soft">nothing is rated</p>'
    times = np.concatenate([line[0] for line in lines.values()])
    low, high = bounds
    span = float(np.nanmin(times)), float(np.nanmax(times))
    drawn = ""
    for name, (at, value) in lines.items():
        path, colour = _path(at, value, span, bounds), _colour(names, name)
        drawn += (
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"><title>{escape(name)}</title></path>'
        )
    axis = _axis(span, unit) + _level(1.0, _told(high)) + _level(0.0, _told(low))
    if low < 0 < high:
        axis += _level(-low / (high - low), "0")
    return _svg(
        f"{', '.join(lines)} over {_told(span[1] - span[0])} {unit}, on a scale of {_told(low)} to {_told(high)}",
        axis + drawn,
    )


def legend(names: Sequence[str]) -> str:
    """What the colours of ``courses`` stand for."""
    keys = "".join(f'<span><i style="background:{_colour(names, name)}"></i>{escape(name)}</span>' for name in names)
    return f'<p class="legend soft">{keys}</p>'


def _colour(names: Sequence[str], name: str) -> str:
    return COLOURS[names.index(name) % len(COLOURS)]


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
        f'<text x="{x:.0f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="{anchor}">{_told(value)}</text>'
        for x, anchor, value in places
    )
    return texts + f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">{escape(unit)}</text>'


def _told(value: float) -> str:
    """Two decimals at most, and thousands told apart: ``1,410``, ``23.5``, ``0.06``."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{float(value):,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if digits else text
    return "0" if text in {"-0", ""} else text


def _svg(label: str, content: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">{content}</svg>'
    )
