"""One table, four ways to write it: HTML for the page, CSV for programs, LaTeX and Markdown for papers."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_JOINT = re.compile(r"(?<=[_/])(?=[^_/])")
LONG = 16  # characters of a word that a column may be too narrow for


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; NaN is undefined. ``signed`` prints a plus, for differences."""

    value: float
    low: float
    high: float
    digits: int = 3
    signed: bool = False

    def __str__(self) -> str:
        known = math.isfinite(self.low) and math.isfinite(self.high)
        bounds = f"[{self._text(self.low)}, {self._text(self.high)}]" if known else "[–]"
        return f"{self._text(self.value)} {bounds}"

    def _text(self, value: float) -> str:
        return number(value, self.digits, self.signed)


@dataclass(frozen=True)
class PValue:
    """A p-value; NaN is a test that could not be made."""

    value: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        return "< 0.001" if self.value < 0.001 else f"{self.value:.3f}" if self.value < 0.1 else f"{self.value:.2f}"


@dataclass(frozen=True)
class Marked:
    """Text with a class of the page's style: ``good``, ``bad`` or ``soft``."""

    text: str
    kind: str

    def __str__(self) -> str:
        return self.text


Value = str | int | float | Estimate | PValue | Marked | None


def number(value: float, digits: int = 3, signed: bool = False) -> str:
    """A figure to so many decimals; a dash where it is not defined."""
    if not math.isfinite(value):
        return "–"
    rounded = round(value, digits) + 0.0  # no minus before a nought
    return f"{rounded:{'+' if signed else ''}.{digits}f}"


@dataclass(frozen=True)
class Table:
    """Rows of figures under named columns.

    Attributes:
        name: of the files that it is written to.
        title: one line, the caption.
        head: names of the columns; the first one says what a row is.
        rows: one value per column.
        note: what a reader must know beside it.
        mark: name and text of what must stand on the table wherever it goes: a caption on the page and in Markdown, a
            last row in LaTeX, a last column in CSV.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""
    mark: tuple[str, Marked] | None = None

    def html(self) -> str:
        """A table that scrolls on a narrow screen, without its title."""
        head = "".join(f'<th scope="col">{breakable(name)}</th>' for name in self.head)
        lines = "".join(f"<tr>{_row_head(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in self.rows)
        note = f'<p class="soft">{escape(self.note)}</p>' if self.note else ""
        table = f"<table>{caption(self.mark)}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        return f"{scrolled(table, self.title)}{note}"

    def csv(self) -> str:
        """Full precision; a figure with an interval takes three columns (``x``, ``x low``, ``x high``)."""
        wide = [any(isinstance(row[at], Estimate) for row in self.rows) for at in range(len(self.head))]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = [
            [name, f"{name} low", f"{name} high"] if split else [name]
            for name, split in zip(self.head, wide, strict=True)
        ]
        own, said = ([self.mark[0]], [self.mark[1].text]) if self.mark else ([], [])
        writer.writerow([name for group in names for name in group] + own)
        for row in self.rows:
            cells = [cell for value, split in zip(row, wide, strict=True) for cell in _plain(value, split)]
            writer.writerow(cells + said)
        return out.getvalue()

    def latex(self) -> str:
        """A ``tabular`` with rules of the package booktabs."""
        columns = "l" + "r" * (len(self.head) - 1)
        lines = [
            _latex_row(list(self.head)),
            r"\midrule",
            *(_latex_row([text(cell) for cell in row]) for row in self.rows),
        ]
        note = [f"% {line}" for line in (self.title, self.note) if line]
        if self.mark:
            told = _latex(": ".join((self.mark[0], self.mark[1].text)))
            lines += [r"\midrule", rf"\multicolumn{{{len(self.head)}}}{{l}}{{{told}}} \\"]
        body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"]
        return "\n".join([*note, *body]) + "\n"

    def markdown(self) -> str:
        """A pipe table below its title."""
        rule = "|" + "---|" + "---:|" * (len(self.head) - 1)
        rows = [
            _markdown_row(list(self.head)),
            rule,
            *(_markdown_row([text(cell) for cell in row]) for row in self.rows),
        ]
        said = f" ({self.mark[0]}: {self.mark[1].text})" if self.mark else ""
        note = [f"\n{self.note}"] if self.note else []
        return "\n".join([f"**{self.title}**{said}\n", *rows, *note]) + "\n"


def scrolled(html: str, name: str) -> str:
    """HTML in a box that scrolls by itself where it is wider than the page, with the keyboard, too.

    Args:
        html: what may be wide.
        name: of the box, for readers who do not see it.
    """
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(name)}">{html}</div>'


def caption(mark: tuple[str, Marked] | None) -> str:
    """A table's mark as HTML; empty without one."""
    if mark is None:
        return ""
    return f'<caption><span>{escape(mark[0])}: <b class="{mark[1].kind}">{escape(mark[1].text)}</b></span></caption>'


def text(value: Value) -> str:
    """As a reader sees it."""
    if value is None:
        return "–"
    return number(value) if isinstance(value, float) else str(value)


def _row_head(value: Value) -> str:
    """The first cell of a row, which says what the row is."""
    return _cell(value).replace("<td", '<th scope="row"', 1).removesuffix("</td>") + "</th>"


def _cell(value: Value) -> str:
    kind = f' class="{value.kind}"' if isinstance(value, Marked) else ""
    if isinstance(value, Estimate):
        point, _, bounds = str(value).partition(" ")
        return f'<td>{point} <span class="bounds">{escape(bounds)}</span></td>'
    if isinstance(value, PValue) and value.value < 0.05:
        return f"<td><strong>{escape(text(value))}</strong></td>"
    return f"<td{kind}>{breakable(text(value))}</td>"


def breakable(plain: str) -> str:
    """Text as HTML that may go on in another line after the joints of a long name: ``_`` and ``/``."""
    words = re.split(r"(\s+)", plain)
    return "".join("<wbr>".join(map(escape, _JOINT.split(word) if len(word) > LONG else [word])) for word in words)


def _plain(value: Value, split: bool) -> Sequence[object]:
    if isinstance(value, Estimate):
        return [_number(value.value), _number(value.low), _number(value.high)]
    plain = "" if value is None else value.value if isinstance(value, PValue) else value
    cell = _number(plain) if isinstance(plain, float) else str(plain)
    return [cell, "", ""] if split else [cell]


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(_latex(cell) for cell in cells) + r" \\"


_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "±": r"$\pm$", "–": "--"}
_LATEX |= {"²": "$^2$", "→": r"$\to$", "−": "$-$"}


def _latex(cell: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in cell)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"
