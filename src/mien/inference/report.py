"""Self-contained HTML report of a timeline: one page, no network, prints well, fits a phone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import UsageError
from mien.files import complete
from mien.inference import charts
from mien.inference.colours import class_colour, face_colour
from mien.inference.timeline import NOBODY, FileInfo, Timeline
from mien.models.abstention import NO_FACE
from mien.pages import FOOTER, page, scrolled

_NOTE = (
    "These curves show <em>apparent</em> emotion: how a face (and voice, where it was used) may look to an observer, "
    "as estimated by a model. They do not show what a person feels, thinks or intends, and must not be used to judge "
    "a person."
)


def write_html(timeline: Timeline, path: str | os.PathLike[str], thumbnails: bool = False) -> Path:
    """Write the report; see ``Timeline.to_html``.

    Raises:
        UsageError: the timeline holds encoder features, which have no report.
    """
    if timeline.kind == "features":
        raise UsageError("encoder features have no report; write them with to_csv or to_parquet, or use predict")
    single = len(timeline.files) == 1
    name = Path(next(iter(timeline.files))).name if single else f"{len(timeline.files)} recordings"
    sections = "".join(_file(timeline.only(file), single, thumbnails) for file in timeline.files)
    with complete(path) as part:
        part.write_text(_page(f"Apparent emotion · {name}", sections, timeline), encoding="utf-8")
    return Path(path)


def _page(title: str, sections: str, timeline: Timeline) -> str:
    own = resources("mien.inference")
    style, script = own.joinpath("report.css").read_text("utf-8"), own.joinpath("report.js").read_text("utf-8")
    grid = "one row per frame" if timeline.step is None else f"one row per {timeline.step:g} s"
    model = f"Model {escape(timeline.model)}; {grid}. " if timeline.model else ""
    if timeline.smoothing:
        model += f"Smoothed over time: {escape(timeline.smoothing)}. "
    body = f'<h1>{escape(title)}</h1><p class="note">{_NOTE}</p>{sections}'
    return page(title, body, style, script, footer=model + FOOTER)


def _file(timeline: Timeline, single: bool, thumbnails: bool) -> str:
    (info,) = timeline.files.values()
    faces = timeline.faces()
    title = "" if single else f"<h2>{escape(info.path)}</h2>"
    pictures: dict[int, list[tuple[float, str]]] = {}
    if thumbnails:
        from mien.inference.thumbnails import thumbnails_of

        pictures = thumbnails_of(timeline)
    cards = [_card(timeline, track, info, pictures.get(track, [])) for track in faces]
    if timeline.of(NOBODY)[list(timeline.outputs)].notna().to_numpy().any():
        cards.append(_card(timeline, NOBODY, info, []))
    return (
        f'<section class="file">{title}<p class="soft">{_facts(info)}</p>{_who(timeline, faces, info)}'
        f"{''.join(cards)}</section>"
    )


def _facts(info: FileInfo) -> str:
    facts = [f"{info.duration:.1f} s"]
    if info.width:
        facts.append(f"{info.width} × {info.height}")
    if info.fps:
        facts.append(f"{info.fps:.4g} frames/s")
    if info.width:
        facts.append("with sound" if info.sound else "no sound")
    return " · ".join(facts)


def _who(timeline: Timeline, faces: Sequence[int], info: FileInfo) -> str:
    """Strips of who was seen when."""
    if not faces:
        return '<div class="card">No face was seen in this recording.</div>'
    strips = "".join(
        f"<span>Face {track}</span>{charts.presence(timeline.of(track), info.duration, _face_hex(track))}"
        for track in faces
    )
    return f'<div class="card"><h2>Seen</h2><div class="who">{strips}<span></span>{_times(info.duration)}</div></div>'


def _face_hex(track: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*face_colour(track))


def _card(timeline: Timeline, track: int, info: FileInfo, pictures: Sequence[tuple[float, str]]) -> str:
    rows = timeline.of(track)
    lengths = rows.index.get_level_values("end") - rows.index.get_level_values("start")
    seen = float((rows["face"] * lengths).sum())
    heading = f"Face {track}" if track != NOBODY else "While nobody was seen"
    series = charts.thin(rows, timeline.outputs, info.duration)
    if timeline.kind == "classification":
        body = _chart(charts.bands(series) + charts.ribbon(series), ("1", "0"), series, timeline.outputs, "down")
        body += _class_table(rows, timeline.outputs)
    else:
        low, high = value_range(timeline)
        scale = (f"{high:g}", f"{(low + high) / 2:g}", f"{low:g}")
        body = _chart(charts.curves(series, low, high), scale, series, timeline.outputs, "")
        body += _value_table(rows, timeline.outputs)
    figures = "".join(
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="face {track} at {time:.1f} s">'
        f"<figcaption>{time:.1f} s</figcaption></figure>"
        for time, data in pictures
    )
    strip = f'<div class="thumbnails">{figures}</div>' if figures else ""
    share = f"seen for {seen:.1f} s of {info.duration:.1f} s" if track != NOBODY else ""
    if timeline.frame["used"].str.contains("sound").any():
        share = " · ".join(filter(None, (share, _sources(rows, lengths))))
    share += _unanswered(rows, lengths)
    head = f'<div class="head"><h2>{heading}</h2><p class="soft">{share}</p></div>'
    return f'<section class="card">{head}{strip}{body}</section>'


def _unanswered(rows: pd.DataFrame, lengths: pd.Index) -> str:
    """How long the model should not be asked, by reason; rows without anything to see are told already."""
    seconds = pd.Series(np.asarray(lengths, dtype=float)).groupby(rows["abstain"].to_numpy()).sum()
    told = [f"{reason} {seconds[reason]:.1f} s" for reason in seconds.index if reason not in ("", NO_FACE)]
    return f" · no answer: {', '.join(told)}" if told else ""


def _sources(rows: pd.DataFrame, lengths: pd.Index) -> str:
    """From which modalities the values come, and for how long."""
    seconds = pd.Series(np.asarray(lengths), index=rows["used"].to_numpy()).groupby(level=0).sum()
    return ", ".join(f"{word.replace('+', ' and ')} {seconds[word]:.1f} s" for word in seconds.index if word)


def value_range(timeline: Timeline) -> tuple[float, float]:
    """Scale of continuous outputs: -1..1 for valence and arousal, 0..1 where all values fit, else what occurs."""
    values = timeline.frame[list(timeline.outputs)].to_numpy(float)
    seen = values[~np.isnan(values)]
    if {"valence", "arousal"} & set(timeline.outputs) or not len(seen):
        return -1.0, 1.0
    if seen.min() >= 0.0 and seen.max() <= 1.0:
        return 0.0, 1.0
    return float(np.floor(seen.min())), float(np.ceil(seen.max()))


def _chart(drawing: str, scale: Sequence[str], series: charts.Series, names: Sequence[str], order: str) -> str:
    data = {
        "duration": series.duration,
        "names": list(names),
        "values": [[None if np.isnan(value) else round(float(value), 3) for value in row] for row in series.values],
    }
    marks = "".join(f"<span>{mark}</span>" for mark in scale)
    label = f"Course over time of {', '.join(names)}; the arrow keys read off a moment"
    # the scale stands beside the tall plot only; the ribbon below it has none
    return (
        f'<div class="chart" data-order="{order}" data-values="{escape(json.dumps(data, separators=(",", ":")))}">'
        f'<div class="scale">{marks}</div><div class="plot" role="group" tabindex="0" aria-label="{escape(label)}">'
        f'{drawing}<div class="cursor"></div></div>{_times(series.duration)}'
        f'<div class="readout" aria-live="polite"></div></div>'
    )


def _times(duration: float) -> str:
    return (
        '<div class="times">'
        + "".join(f'<span style="left:{25 * i}%">{clock(duration * i / 4)}</span>' for i in range(5))
        + "</div>"
    )


def clock(seconds: float) -> str:
    """``7.5 s``, ``2:05`` or ``1:02:05``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _key(position: int, name: str) -> str:
    return f'<span class="key" style="background:{class_colour(position)}"></span>{escape(name)}'


def _class_table(rows: pd.DataFrame, names: Sequence[str]) -> str:
    """Mean probability and share of the seen rows per class."""
    seen = rows[rows["prediction"].notna()]
    lines = "".join(
        f'<tr><th scope="row">{_key(k, name)}</th><td>{_number(seen[name].mean())}</td>'
        f"<td>{_number(100 * (seen['prediction'] == name).mean(), 0)} %</td></tr>"
        for k, name in enumerate(names)
    )
    return _table(("apparent emotion", "mean probability", "most probable for"), lines)


def _value_table(rows: pd.DataFrame, names: Sequence[str]) -> str:
    lines = ""
    for k, name in enumerate(names):
        values = rows[name].dropna()
        cells = (values.mean(), values.std(ddof=0), values.min(), values.max())
        told = "".join(f"<td>{_number(cell)}</td>" for cell in cells)
        lines += f'<tr><th scope="row">{_key(k, name)}</th>{told}</tr>'
    return _table(("output", "mean", "spread (sd)", "lowest", "highest"), lines)


def _number(value: float, digits: int = 2) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def _table(head: Sequence[str], lines: str) -> str:
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    return scrolled(f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>", f"Table of {head[0]}")
