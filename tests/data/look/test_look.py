"""The page on a manifest: its figures, its blur, and what it says of files that cannot be read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mien.data.look import LookSettings, look, write_page
from mien.data.look.drawing import COLOURS, courses, histogram, limits
from mien.data.look.sampling import draw, thumbnail
from mien.data.look.tables import class_columns, target_columns
from mien.data.manifest import Manifest
from mien.data.packing import pack
from mien.errors import MienError


def test_page_of_a_corpus(tiny_corpus: Manifest, tmp_path: Path) -> None:
    overview = look(tiny_corpus, LookSettings(pictures=2, files=3, curves=1))
    write_page(overview, tmp_path / "look.html")
    text = (tmp_path / "look.html").read_text()
    assert "14 clips of 7 people" in text
    assert "Lengths and sizes are those of 3 drawn clips" in text
    assert text.count("<figure>") == 2
    for label, count in tiny_corpus.frame["label"].value_counts().items():
        assert f'<th scope="row">{label}</th>' in text
        assert f"<td>{count}</td><td>{100 * count / 14:.1f} %</td>" in text
    assert "Parts share no people, groups or files." in text
    assert "valence" in text
    assert "http://" not in text
    assert "https://" not in text


def test_a_packed_corpus_shows_the_same(tiny_corpus: Manifest, tmp_path: Path) -> None:
    packed = look(pack(tiny_corpus, tmp_path / "shards"))
    plain = look(tiny_corpus)
    assert not packed.failed
    assert (packed.facts, packed.pictures) == (plain.facts, plain.pictures)
    assert packed.html().split("</h1>")[1] == plain.html().split("</h1>")[1]


def test_pictures_are_beyond_recognition_unless_asked(tiny_corpus: Manifest) -> None:
    """Ten by ten values are left: shrinking the blurred picture to that size loses next to nothing of it."""
    row = tiny_corpus.row(tiny_corpus.ids[0])
    pictures = [Image.open(io.BytesIO(thumbnail(row, blurred))) for blurred in (True, False)]
    lost = []
    for picture in pictures:
        small = picture.resize((10, 10), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)
        lost.append(np.abs(np.asarray(small, float) - np.asarray(picture, float)).mean())
    assert lost[0] < 0.4 * lost[1]


def test_unreadable_clips_are_told(tiny_corpus: Manifest, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    table = Manifest(pd.DataFrame({"path": ["broken.mp4", "gone"], "label": ["a", "b"]}), tmp_path)
    overview = look(table)
    assert len(overview.failed) == 2
    html = overview.html()
    assert "2 of the drawn clips cannot be read" in html
    assert "Nobody is named" in html
    empty = Manifest(tiny_corpus.frame.assign(start=50.0).iloc[:1], tiny_corpus.root)
    with pytest.raises(MienError, match="no picture between 50"):
        thumbnail(empty.row(empty.ids[0]))


def test_the_same_clips_are_drawn_whatever_the_order() -> None:
    table = Manifest(pd.DataFrame({"path": [f"{at}.mp4" for at in range(50)]}), "/")
    turned = Manifest(table.frame.iloc[::-1], "/")
    assert draw(table, 7) == draw(turned, 7)
    assert len(set(draw(table, 7))) == 7


def test_columns_are_classes_or_values() -> None:
    frame = pd.DataFrame({"path": list("abc"), "label": [0, 1, 1], "mood": ["x", "y", None], "valence": [0.1, 0.2, 0.3],
                          "text": ["a b", "c d", "e"], "frames": [3, 4, 5]})  # fmt: skip
    assert class_columns(frame, most=2) == ["label", "mood"]
    assert target_columns(frame) == ["valence"]


def test_a_public_corpus_goes_by_its_own_names(tiny_corpus: Manifest) -> None:
    """The label first, folds called so, nothing on what all clips share, and ids below the pictures."""
    frame = tiny_corpus.frame.drop(columns=["split", "fold"], errors="ignore")
    frame.insert(1, "sex", ["male", "female"] * 7)
    frame = frame.assign(id=[f"take/{at:02}" for at in range(14)], fold=["1", "2"] * 7, corpus="x")
    frame["source"] = [f"/raw/{at}.mp4" for at in range(14)]
    html = look(Manifest(frame, tiny_corpus.root), LookSettings(pictures=3, files=3)).html()
    assert html.index("Classes: label") < html.index("Classes: sex")
    assert "Classes: corpus" not in html
    assert '<th scope="col">fold 2</th>' in html
    assert "/raw/" not in html
    assert html.count(" · take/") == 6  # below the picture, and for who cannot see it
    hashed = frame.assign(id=[f"{at:016x}" for at in range(14)])
    assert look(Manifest(hashed, tiny_corpus.root), LookSettings(pictures=3, files=3)).html().count("/raw/") == 6


def test_charts_of_odd_values() -> None:
    assert "nothing to show" in histogram(np.array([np.nan]), "s")
    assert "2 s throughout" in histogram(np.array([2.0, 2.0]), "s")
    counts = histogram(np.array([0.0, 0.1, 1.0]), "<s>", bins=2)
    assert counts.count("<rect") == 2
    assert "&lt;s&gt;" in counts
    gap = courses({"valence": (np.arange(4.0), np.array([0.0, 1.0, np.nan, 1.0]))}, (0.0, 1.0), ["valence"])
    assert gap.count("M") - gap.count("M40") == 1
    assert "nothing is rated" in courses({"v": (np.arange(2.0), np.full(2, np.nan))}, (0.0, 1.0), ["v"])
    large = histogram(np.array([0.001, 23.46, 1412.7]), "")
    assert ">1,413<" in large
    assert ">0<" in large


def test_drawings_of_values_over_time_share_scale_and_colours() -> None:
    times = np.arange(2.0)
    first = {"valence": (times, np.array([0.0, -0.5])), "arousal": (times, np.array([0.25, np.nan]))}
    second = {"arousal": (times, np.array([0.1, 2.0]))}
    bounds = limits([first, second])
    assert bounds == (-0.5, 2.0)
    one, other = (courses(lines, bounds, ["valence", "arousal"]) for lines in (first, second))
    for drawn in (one, other):
        assert ">2<" in drawn
        assert ">-0.5<" in drawn
        assert f'stroke="{COLOURS[1]}" stroke-width="1.5"><title>arousal' in drawn
    assert limits([{"v": (times, np.full(2, np.nan))}]) == (0.0, 1.0)
