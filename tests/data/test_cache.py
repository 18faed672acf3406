from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data import cache as module
from mien.data.cache import FrameCache
from mien.data.manifest import Manifest, Row
from mien.data.sources import open_frames
from mien.errors import MienError


def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Paths of rows that are really opened, in order."""
    paths: list[Path] = []

    def noting(row: Row) -> object:
        paths.append(row.path)
        return open_frames(row)

    monkeypatch.setattr(module, "open_frames", noting)
    return paths


def test_held_frames_are_those_of_the_file(tiny_corpus: Manifest) -> None:
    cache, row = FrameCache(64), tiny_corpus.row(tiny_corpus.ids[0])
    wanted = [3, 0, 7, 7]
    with open_frames(row) as source:
        times, size, pictures = source.times.copy(), source.size, source.at_indices(wanted)
    for _ in range(2):
        with cache.open(row) as source:
            assert np.array_equal(source.times, times)
            assert source.size == size
            assert np.array_equal(source.at_indices(wanted), pictures)


def test_what_fits_is_opened_once(tiny_corpus: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [tiny_corpus.row(id_) for id_ in tiny_corpus.ids[:4]]
    with open_frames(rows[0]) as source:
        one = len(source.times) * source.size[0] * source.size[1] * 3
    paths, cache = opened(monkeypatch), FrameCache(1)
    fitting = module.MIB // one
    assert 0 < fitting < len(rows)
    for _ in range(3):
        for row in rows:
            with cache.open(row):
                pass
    kept, others = rows[:fitting], rows[fitting:]
    assert [paths.count(row.path) for row in kept] == [1] * len(kept)
    assert [paths.count(row.path) for row in others] == [3] * len(others)


def test_without_room_nothing_is_held(tiny_corpus: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, cache = opened(monkeypatch), FrameCache(0)
    for _ in range(2):
        with cache.open(tiny_corpus.row(tiny_corpus.ids[0])):
            pass
    assert len(paths) == 2


def test_a_missing_file_is_refused_as_without_a_cache(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no such file"), FrameCache(1).open(Row("a", tmp_path / "gone.mp4")):
        pass
