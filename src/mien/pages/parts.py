"""Parts of a page. Arguments are plain text and escaped here, unless a name says that it is HTML."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

from mien.pages.tables import Marked, breakable, caption, scrolled

FEW = 3  # boxes that a reader oversees without links to them
_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff\xe0": "image/jpeg",
    b"<svg": "image/svg+xml",
    b"<?xm": "image/svg+xml",
}


def card(title: str, html: str, note: str = "", listed: bool = True) -> str:
    """A titled box; ``note`` is a soft line below the title; ``contents`` links to it where it is ``listed``."""
    soft = f'<p class="soft">{escape(note)}</p>' if note else ""
    mark = f' id="{_anchor(title)}"' if listed else ""
    return f'<section class="card"{mark}><h2>{escape(title)}</h2>{soft}{html}</section>'


def chapter(title: str) -> str:
    """A heading above several boxes, which ``contents`` links to."""
    return f'<h2 class="chapter" id="{_anchor(title)}">{breakable(title)}</h2>'


def contents(html: str) -> str:
    """Links to the listed boxes and chapters of a page, for the screen; empty where there are few."""
    found = re.findall(r'(?:<section class="card"|<h2 class="chapter") id="([^"]*)">(?:<h2>)?(.*?)</h2>', html)
    links = " · ".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in found)
    return f'<nav class="soft screen" aria-label="Contents">{links}</nav>' if len(found) > FEW else ""


def note(html: str) -> str:
    """What must not be overlooked."""
    return f'<div class="note">{html}</div>'


def words(facts: Mapping[str, str]) -> str:
    """Names and texts side by side."""
    lines = "".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in facts.items())
    return f'<table class="words"><tbody>{lines}</tbody></table>'


def bullets(sentences: Iterable[str]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def command(line: str) -> str:
    """A command line, which wraps between its words and not after the hyphens of an option."""
    return f"<pre>{' '.join(f'<span>{escape(word)}</span>' for word in line.split(' '))}</pre>"


def image(content: bytes, caption: str) -> str:
    """PNG, JPEG or SVG inside the page; ``caption`` is what a reader hears who does not see it."""
    kind = _TYPES[content[:4]]
    return f'<img alt="{escape(caption)}" src="data:{kind};base64,{base64.b64encode(content).decode()}">'


def grid(items: Sequence[str]) -> str:
    """HTML parts side by side where the screen is wide enough."""
    return f'<div class="grid">{"".join(f"<div>{item}</div>" for item in items)}</div>'


def sheet(pictures: Iterable[tuple[bytes, str]]) -> str:
    """Small pictures with a line below each, as many side by side as the screen allows."""
    figures = "".join(
        f"<figure>{image(content, said)}<figcaption>{escape(said)}</figcaption></figure>" for content, said in pictures
    )
    return f'<div class="sheet">{figures}</div>'


def heat(
    names: Sequence[str],
    counts: np.ndarray,
    rows: str = "true",
    columns: str = "predicted",
    mark: tuple[str, Marked] | None = None,
) -> str:
    """A square table of counts ``(K, K)`` coloured by the share of each row, so rare rows show as clearly.

    Args:
        names: of rows and columns, in order.
        counts: int or float; the totals of the rows are shown.
        rows, columns: what they stand for.
        mark: as of ``mien.pages.Table``.
    """
    totals = counts.sum(axis=1)
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    lines = ""
    for name, line, total in zip(names, counts, totals, strict=True):
        shares = [value / total if total else np.nan for value in line]
        cells = "".join(_heat_cell(value, share) for value, share in zip(line, shares, strict=True))
        lines += f'<tr><th scope="row">{escape(name)} <i>{total:g}</i></th>{cells}</tr>'
    corner = f'<th scope="col" class="corner">{rows} ↓ {columns} →</th>'
    body = f"<thead><tr>{corner}{head}</tr></thead><tbody>{lines}</tbody>"
    return scrolled(f'<table class="heat">{caption(mark)}{body}</table>', f"{rows} against {columns}")


def _anchor(title: str) -> str:
    """What a link to a title is called."""
    return re.sub(r"\W+", "-", title).strip("-").lower()


def _heat_cell(count: float, share: float) -> str:
    if np.isnan(share):
        return "<td>–</td>"
    ink = "#fff" if share > 0.55 else "inherit"
    # white to a dark blue, as light falls on paper: lightness follows the share
    ground = f"rgb({round(255 - 247 * share)},{round(255 - 207 * share)},{round(255 - 148 * share)})"
    return f'<td style="background:{ground};color:{ink}"><b>{100 * share:.0f}</b><i>{count:g}</i></td>'
