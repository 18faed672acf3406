"""One table in four forms: what stands in one stands in all, and nothing breaks out of its cell."""

from __future__ import annotations

import csv
import html
import io
import re

import numpy as np

from mien.pages import Estimate, Marked, PValue, Table, command, heat, number, page

TABLE = Table(
    "results",
    "Results & more",
    ("metric_name", "value", "p"),
    (
        ("UAR <b>", Estimate(0.51234, 0.47, 0.5512), PValue(0.0004)),
        ("a|b 50 %", Estimate(-0.01, float("nan"), float("nan"), signed=True), PValue(0.0371)),
        ("C&D", 3, Marked("seen", "bad")),
        ("R²", float("nan"), None),
    ),
    note="drawn by subject",
)


def test_csv_keeps_full_precision_and_parts_of_estimates() -> None:
    rows = list(csv.reader(io.StringIO(TABLE.csv())))
    assert rows[0] == ["metric_name", "value", "value low", "value high", "p"]
    assert [float(cell) for cell in rows[1][1:]] == [0.51234, 0.47, 0.5512, 0.0004]
    assert rows[2] == ["a|b 50 %", "-0.01", "", "", "0.0371"]
    assert rows[3] == ["C&D", "3", "", "", "seen"]
    assert rows[4] == ["R²", "", "", "", ""]


def test_html_escapes_and_shows_what_a_reader_needs() -> None:
    made = TABLE.html()
    assert "<b>" not in made
    assert 'class="bad">seen' in made
    body = made.partition("<tbody>")[2]
    cells = [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<t[dh].*?</t[dh]>", body)]
    assert cells[:3] == ["UAR <b>", "0.512 [0.470, 0.551]", "< 0.001"]
    assert cells[3:6] == ["a|b 50 %", "-0.010 [–]", "0.037"]
    assert cells[-2:] == ["–", "–"]


def test_latex_has_a_cell_for_every_column_and_no_bare_signs() -> None:
    lines = TABLE.latex().splitlines()
    body = [line for line in lines if line.endswith(r"\\")]
    assert len(body) == 5
    for line in body:
        assert len(re.findall(r"(?<!\\)&", line)) == 2
        assert not re.search(r"(?<!\\)[%#_]", line.removesuffix(r"\\"))
    assert lines[0] == "% Results & more"
    assert r"\begin{tabular}{lrr}" in lines


def test_markdown_keeps_its_columns() -> None:
    rows = [line for line in TABLE.markdown().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
    assert r"a\|b 50 %" in rows[3]


def test_numbers() -> None:
    assert [number(0.12345), number(float("inf")), number(0.5, 1, signed=True)] == ["0.123", "–", "+0.5"]
    assert [str(PValue(p)) for p in (0.381, 0.0999, 0.00099, float("nan"))] == ["0.38", "0.100", "< 0.001", "–"]


def test_a_page_is_whole_and_loads_nothing() -> None:
    made = page("A <title>", heat(("calm & cool", "angry"), np.array([[3, 1], [0, 0]])), style=".x { color: red }")
    assert made.startswith("<!doctype html>")
    assert "<title>A &lt;title&gt;</title>" in made
    assert not re.search(r"https?://|@import|url\(|src=|href=", made)
    assert "calm &amp; cool <i>4</i>" in made
    shares = re.findall(r"<b>(\d+)</b><i>(\d+)</i>", made)
    assert shares == [("75", "3"), ("25", "1")]
    assert made.count("<td>–</td>") == 2


def test_long_names_break_at_their_joints_and_commands_between_words() -> None:
    name = "runs/a_rather_long_name.of_a_run"
    table = Table("t", "T", ("metric", name), ((name, "0.865 short_word"),))
    assert table.html().count("runs/<wbr>a_<wbr>rather_<wbr>long_<wbr>name.of_<wbr>a_<wbr>run") == 2
    assert "0.865 short_word" in table.html()
    assert "<wbr>" not in table.markdown() + table.csv() + table.latex()
    line = "mien report 'a b' --out x<y"
    assert html.unescape(re.sub("<[^>]+>", "", command(line))) == line, "what is copied is what stands there"
    assert "<span>--out</span>" in command(line)


def test_tables_scroll_in_a_box_that_the_keyboard_reaches_and_say_what_heads_what() -> None:
    for made in (TABLE.html(), heat(("calm", "angry"), np.array([[3, 1], [0, 0]]))):
        assert re.match(r'<div class="wide" role="region" tabindex="0" aria-label="[^"]+"><table', made)
        assert len(re.findall("<th ", made)) == made.count('scope="col"') + made.count('scope="row"') > 2
    assert 'aria-label="Results &amp; more"' in TABLE.html()
    assert TABLE.html().count('scope="row"') == len(TABLE.rows)
