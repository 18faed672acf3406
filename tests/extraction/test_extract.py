"""Extraction: timing, tables, folders, the store; killed and resumed it gives the same bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.data.manifest import Manifest
from mien.data.streams import Stream, StreamStore
from mien.errors import MienError, UsageError
from mien.extraction.builtin import SoundStatistics
from mien.extraction.contract import Extractor, Request, parse_requests
from mien.extraction.extract import extract
from mien.extraction.kinds import make_extractor
from mien.extraction.material import Material
from mien.extraction.timing import frame_choice, published_frame_choice, sound_windows


@given(st.integers(1, 3000))
def test_always_32_frames_and_the_published_ones_from_47_on(frames: int) -> None:
    chosen = frame_choice(frames)
    assert chosen.shape == (32,)
    assert (np.diff(chosen) >= 0).all()
    assert (chosen[0], chosen[-1]) == (0, frames - 1)
    if frames >= 47:
        assert chosen.tolist() == published_frame_choice(frames, frames).tolist()


@given(st.integers(33, 10**6))
def test_sound_windows_overlap_by_half_and_reach_the_end(samples: int) -> None:
    windows = sound_windows(samples)
    assert samples - 1 <= windows[-1].sum() <= samples
    assert abs(windows[1, 0] - windows[0, 1] / 2) <= 1


class Brightness(Extractor):
    """Mean colour of every picture; can be told to stop after a number of clips."""

    width, described = 3, "brightness"

    def __init__(self, until: int = 10**9) -> None:
        self.until = until

    def __call__(self, clip: Material) -> Stream:
        self.until -= 1
        if self.until < 0:
            raise KeyboardInterrupt
        return Stream(clip.frames.mean(axis=(1, 2)).astype(np.float32), clip.times)


def test_killed_and_resumed_gives_the_same_store(tiny_corpus: Manifest, tmp_path: Path) -> None:
    def streams(until: int) -> dict[str, Extractor]:
        return {"visual": Brightness(until), "audio": SoundStatistics("mfcc")}

    whole, torn = tmp_path / "whole.safetensors", tmp_path / "torn.safetensors"
    extract(tiny_corpus, streams(10**9), whole, jobs=2)
    with pytest.raises(KeyboardInterrupt):
        extract(tiny_corpus, streams(5), torn)
    assert not torn.exists()
    assert len(list((tmp_path / "torn.safetensors.parts").glob("*.npz"))) == 5
    second = streams(len(tiny_corpus) - 5)
    extract(tiny_corpus, second, torn)  # more than the rest would stop it again
    assert torn.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "torn.safetensors.parts").exists()
    store = StreamStore(torn)
    clip = Material(tiny_corpus.row(tiny_corpus.ids[3]))
    found = store.read("visual", tiny_corpus.ids[3])
    assert found is not None
    np.testing.assert_allclose(found.values, clip.frames.mean(axis=(1, 2)), rtol=1e-5)
    assert store.streams["audio"].width == 40


def test_other_features_do_not_go_on_with_half_done_ones(tiny_corpus: Manifest, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract(tiny_corpus, {"visual": Brightness(1)}, tmp_path / "s.safetensors")
    with pytest.raises(UsageError, match="half-done"):
        extract(tiny_corpus, {"audio": SoundStatistics("mfcc")}, tmp_path / "s.safetensors")


def test_streams_are_added_to_a_store(tiny_corpus: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    few = tiny_corpus.select(tiny_corpus.ids[:2])
    extract(few, {"visual": Brightness()}, path)
    before = StreamStore(path).read("visual", few.ids[0])
    extract(few, {"audio": SoundStatistics("logmel")}, path)
    store = StreamStore(path)
    assert sorted(store.streams) == ["audio", "visual"]
    after = store.read("visual", few.ids[0])
    assert before is not None
    assert after is not None
    assert np.array_equal(before.values, after.values)


@pytest.fixture
def few(tiny_corpus: Manifest) -> Manifest:
    return tiny_corpus.select(tiny_corpus.ids[:2])


def test_published_folders_of_tensors_are_read_safely(few: Manifest, tmp_path: Path) -> None:
    first, second = sorted(few.ids)  # the width of the stream is that of the first file

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'owned'}",)

    torch.save(torch.ones(32, 27, dtype=torch.float64), tmp_path / f"{first}.pt")
    torch.save({"x": Trap()}, tmp_path / f"{second}.pt")
    report = extract(few, {"fau": make_extractor(Request("fau", "folder", str(tmp_path)))}, tmp_path / "s.sf")
    assert "refused" in report.failures["fau"][second]
    assert StreamStore(tmp_path / "s.sf").ids("fau") == {first}
    assert StreamStore(tmp_path / "s.sf").streams["fau"].width == 27
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("kind", ["openface", "pyfeat-csv"])
def test_tables_of_action_units(few: Manifest, tmp_path: Path, kind: str) -> None:
    openface = kind == "openface"
    clip = Material(few.row(few.ids[0]))
    frames = len(clip.clock)
    column = "AU12_r" if openface else "AU12"
    table = pd.DataFrame({"frame": range(frames), column: np.arange(frames) / 10.0})
    if openface:
        table["timestamp"], table["success"] = clip.clock, 1
        table.loc[0, "success"] = 0
    table.to_csv(tmp_path / f"{few.ids[0]}.csv", index=False)
    found = make_extractor(Request("fau", kind, str(tmp_path)))(clip)
    assert found.values.shape == (32, 27)
    chosen = frame_choice(frames)
    np.testing.assert_allclose(found.values[1:, 9], chosen[1:] / (50.0 if openface else 10.0), atol=0.11)
    assert found.values[0].sum() == 0
    with pytest.raises(MienError, match=r"no \.csv file called"):
        make_extractor(Request("fau", kind, str(tmp_path)))(Material(few.row(few.ids[1])))


def test_requests() -> None:
    assert parse_requests("visual, audio=mfcc,fau=openface:a/b") == [
        Request("visual", "vit", "google/vit-base-patch16-224-in21k"),
        Request("audio", "mfcc"),
        Request("fau", "openface", "a/b"),
    ]
    for text in ("", "sound", "a b=mfcc", "audio=mfcc,audio=logmel"):
        with pytest.raises(UsageError):
            parse_requests(text)
    with pytest.raises(UsageError, match="there are bundle"):
        make_extractor(Request("x", "unknown"))
    with pytest.raises(UsageError, match="py-feat"):
        make_extractor(Request("fau", "pyfeat"))
