from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mien.errors import UsageError
from mien.inference import charts
from mien.inference.report import clock, value_range
from mien.inference.timeline import FileInfo, Rows, Timeline, join_timelines, make_timeline


class Page(HTMLParser):
    """Collects what a page would load, its text, and checks that tags are balanced."""

    VOID = frozenset({"meta", "img", "br", "input", "link", "polygon", "rect", "line", "polyline"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.data: list[dict] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "data", "action"}:
                self.links.append(value or "")
            if name == "data-values":
                self.data.append(json.loads(value or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(timeline: Timeline, folder: Path) -> Page:
    return Page(timeline.to_html(folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_loads_nothing(classified: Timeline, tmp_path: Path) -> None:
    html = classified.to_html(tmp_path / "r.html").read_text(encoding="utf-8")
    assert Page(html).links == []
    assert not re.search(r"https?:|@import|url\(", html)


def test_it_speaks_of_apparent_emotion_and_every_face(classified: Timeline, tmp_path: Path) -> None:
    text = " ".join(page(classified, tmp_path).texts)
    assert "Apparent emotion · talk.mp4" in text
    assert "Face 0" in text
    assert "seen for 8.6 s of 12.0 s" in text  # 45 rows of 0.2 s, two of them without a face
    assert "seen for 5.0 s of 12.0 s" in text
    assert "one row per 0.2 s" in text


def test_the_numbers_of_the_curves_are_those_of_the_table(classified: Timeline, tmp_path: Path) -> None:
    data = page(classified, tmp_path).data
    assert len(data) == 2
    assert data[0]["names"] == list(classified.outputs)
    rows = classified.of(0)[list(classified.outputs)].to_numpy()
    drawn = np.array([[np.nan if v is None else v for v in row] for row in data[0]["values"]])
    assert drawn.shape == (60, 7)
    np.testing.assert_allclose(drawn[:45], rows, atol=6e-4)
    assert np.isnan(drawn[45:]).all()


def test_names_are_escaped(tmp_path: Path, classified: Timeline) -> None:
    evil = "<script>alert(1)</script>.mp4"
    frame = classified.frame.rename(columns={"fear": '"><b>'})
    frame["prediction"] = frame["prediction"].replace("fear", '"><b>')
    frame = frame.rename(index={"talk.mp4": evil}, level="file")
    info = {evil: FileInfo(evil, 12.0)}
    timeline = Timeline(frame, "classification", (*classified.outputs[:-1], '"><b>'), info)
    html = timeline.to_html(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<b>" not in html
    Page(html)


def test_several_files_on_one_page(classified: Timeline, tmp_path: Path) -> None:
    other = make_timeline({"b.mp4": []}, "classification", classified.outputs, {"b.mp4": FileInfo("b.mp4", 1.0)})
    text = " ".join(page(join_timelines([classified, other]), tmp_path).texts)
    assert "2 recordings" in text
    assert "No face was seen in this recording." in text


def test_features_have_no_report(tmp_path: Path) -> None:
    features = make_timeline({"a": []}, "features", ("f0",), {"a": FileInfo("a", 1.0)})
    with pytest.raises(UsageError, match="no report"):
        features.to_html(tmp_path / "r.html")


def test_long_recordings_are_averaged_down(circumplex: Timeline) -> None:
    rows = circumplex.frame
    fine = charts.thin(rows, circumplex.outputs, 6.0)
    assert len(fine.values) == 30
    np.testing.assert_allclose(fine.values, rows[["valence", "arousal"]].to_numpy(), atol=1e-12)
    long = make_timeline(
        {"a": []}, "dimensions", ("valence",), {"a": FileInfo("a", 1.0)}
    ).frame  # no rows at all: one empty column
    assert np.isnan(charts.thin(long, ("valence",), 1.0).values).all()


def test_thinning_averages_what_was_seen(monkeypatch: pytest.MonkeyPatch, circumplex: Timeline) -> None:
    monkeypatch.setattr(charts, "POINTS", 10)
    values = circumplex.frame["valence"].to_numpy()
    expected = np.nanmean(values.reshape(10, 3), axis=1)
    np.testing.assert_allclose(charts.thin(circumplex.frame, ("valence",), 6.0).values[:, 0], expected)


def test_columns_that_do_not_fit_the_rows_leave_no_holes(make_rows: Callable[..., Rows]) -> None:
    """29.97 frames per second: the number of columns is not that of the rows."""
    rows = make_rows(0, 0, 301, 2, 1)
    rows.start, rows.end = np.arange(301) / 29.97, np.arange(1, 302) / 29.97
    timeline = make_timeline({"a": [rows]}, "dimensions", ("x", "y"), {"a": FileInfo("a", 10.05)})
    assert not np.isnan(charts.thin(timeline.frame, ("x", "y"), 10.05).values).any()


def test_drawings_begin_and_end_with_what_was_seen(make_rows: Callable[..., Rows]) -> None:
    """A face from 3.95 to 5.05 s of 8 s, seen less than to the end of a column: drawings don't reach further."""
    rows = make_rows(0, 0, 7, 2, 1, (5, 6))
    edges = np.array([3.95, 4.0, 4.2, 4.4, 4.6, 5.05, 5.1, 5.3])
    rows.start, rows.end = edges[:-1], edges[1:]
    frame = make_timeline({"a": [rows]}, "classification", ("x", "y"), {"a": FileInfo("a", 8.0)}).frame
    series = charts.thin(frame, ("x", "y"), 8.0)
    assert len(series.values) == 40
    (seen,) = charts.stretches(~np.isnan(series.values[:, 0]))
    np.testing.assert_allclose(series.span(*seen), [3.95, 5.05])
    for drawing in (charts.presence(frame, 8.0, "red"), charts.ribbon(series)):
        spans = [
            (float(x), float(x) + float(w)) for x, w in re.findall(r'x="([\d.]+)" y="0" width="([\d.]+)"', drawing)
        ]
        assert min(begin for begin, _ in spans) == pytest.approx(3.95 / 8 * 1000, abs=0.1)
        assert max(end for _, end in spans) == pytest.approx(5.05 / 8 * 1000, abs=0.1)
    x = [float(pair.split(",")[0]) for pair in re.findall(r'points="([^"]+)"', charts.bands(series))[0].split()]
    assert (min(x), max(x)) == (pytest.approx(493.8, abs=0.1), pytest.approx(631.2, abs=0.1))


def test_bands_fill_the_height() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    series = charts.Series(edges, np.array([[0.25, 0.75], [0.5, 0.5]]), 2.0, edges[:-1], edges[1:])
    first, second = re.findall(r'points="([^"]+)"', charts.bands(series))
    points = [tuple(map(float, pair.split(","))) for pair in first.split()]
    assert points[:4] == [(0.0, 75.0), (250.0, 75.0), (750.0, 50.0), (1000.0, 50.0)]
    assert {y for _, y in points[4:]} == {100.0}
    upper = [tuple(map(float, pair.split(","))) for pair in second.split()]
    assert {y for _, y in upper[:4]} == {0.0}
    assert upper[4:] == points[:4][::-1]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0.0 s"), (7.54, "7.5 s"), (125, "2:05"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_scale_of_continuous_outputs(circumplex: Timeline) -> None:
    assert value_range(circumplex) == (-1.0, 1.0)
    traits = circumplex.frame.rename(columns={"valence": "openness", "arousal": "warmth"})
    traits[["openness", "warmth"]] = traits[["openness", "warmth"]].abs()
    assert value_range(Timeline(traits, "traits", ("openness", "warmth"), circumplex.files)) == (0.0, 1.0)
    traits[["openness", "warmth"]] *= 4
    low, high = value_range(Timeline(traits, "traits", ("openness", "warmth"), circumplex.files))
    assert (low, high) == (0.0, 4.0)
