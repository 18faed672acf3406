"""Annotators over time, and folders of corpora turned into manifests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.data.continuous import write_corpus
from mien.data.layouts import find_sources, partitions
from mien.data.ratings import Ratings, combine, read_ratings, resample, undelayed
from mien.errors import UsageError
from mien.media import VideoReader


def test_header_delimiters_and_words(tmp_path: Path) -> None:
    avec = tmp_path / "a.csv"
    avec.write_text("name;time;FM1;FM2\np16;0.00;0.1;0.3\np16;0.04;0.2;\n")
    ratings = read_ratings(avec)
    np.testing.assert_allclose(ratings.times, [0.0, 0.04])
    np.testing.assert_allclose(ratings.values, [[0.1, 0.3], [0.2, np.nan]])


def test_binned_rows_give_their_value(tmp_path: Path) -> None:
    flags = ",".join("1" if k == 12 else "0" for k in range(20))
    (tmp_path / "b.csv").write_text(f"0.0,{flags},0.25\n0.02,{flags},0.26\n0.04,{flags},0.27\n")
    np.testing.assert_allclose(read_ratings(tmp_path / "b.csv").values[:, 0], [0.25, 0.26, 0.27])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n1,2\n2,3\n", "say how many"),
        ("0.5,1\n0.4,2\n", "comes after"),
        ("0.5,1\nhello,2\n", "no number"),
        ("0.5\n0.6\n", "no time and values"),
        ("", "no number"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_ratings(tmp_path / "c.csv")


def test_frame_numbers_become_seconds(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("0,0.1\n1,0.2\n2,0.3\n")
    np.testing.assert_allclose(read_ratings(tmp_path / "d.csv", fps=50).times, [0, 0.02, 0.04])


def test_weighted_annotators() -> None:
    rng = np.random.default_rng(0)
    truth = np.sin(np.linspace(0, 20, 500))
    good = truth[:, None] + 0.1 * rng.standard_normal((500, 3))
    against = np.column_stack([good, -truth])
    weighted, mean = combine(against, "evaluator_weighted"), combine(against, "mean")
    # by hand: the contrary annotator weighs nothing, so the others' weighted mean is left
    assert np.corrcoef(weighted, truth)[0, 1] > 0.99
    assert np.abs(weighted - truth).mean() < 0.1 < np.abs(mean - truth).mean()
    np.testing.assert_allclose(combine(good, "mean"), good.mean(axis=1))
    good[3, 0] = np.nan
    np.testing.assert_allclose(combine(good, "mean")[3], good[3, 1:].mean())
    assert np.isnan(combine(np.full((2, 2), np.nan))).all()
    np.testing.assert_allclose(combine(np.ones((4, 2)), "evaluator_weighted"), 1.0)


def test_delay_and_resampling() -> None:
    ratings = undelayed(Ratings(np.array([2.0, 3.0, 4.0]), np.array([[1.0], [3.0], [5.0]])), 2.0)
    at = resample(ratings.times, ratings.values[:, 0], np.array([-0.5, 0.5, 1.25, 3.0]))
    np.testing.assert_allclose(at, [np.nan, 2.0, 3.5, np.nan])
    gap = resample(np.arange(4.0), np.array([0.0, np.nan, 2.0, 3.0]), np.array([0.5, 2.5]))
    np.testing.assert_allclose(gap, [np.nan, 2.5])


def test_parts_by_name() -> None:
    assert partitions(["Train_Set_binned", "Test_trimmed", "dev"]) == {
        "train": "Train_Set_binned",
        "test": "Test_trimmed",
        "validation": "dev",
    }
    with pytest.raises(UsageError, match="both look like"):
        partitions(["train1", "train2"])


def test_a_corpus_becomes_a_manifest(tmp_path: Path) -> None:
    name = "SAH_C6_S181_P362_VC1_000742_001590"
    (tmp_path / "video/train" / name).mkdir(parents=True)
    pictures = np.random.default_rng(0).normal(size=(30, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "video/train" / name / f"{name}.npz", pictures)
    folder = tmp_path / "annot/train" / name
    folder.mkdir(parents=True)
    for value, sign in (("Arousal", 1), ("Valence", -1)):
        for annotator in range(2):
            rows = "".join(f"{k / 25 + 1:.2f},{sign * (k / 30 + 0.01 * annotator):.4f}\n" for k in range(30))
            (folder / f"{name}_{value}_V_Aligned_{annotator}.csv").write_text(rows)
    sources = find_sources("sewa", tmp_path / "video", tmp_path / "annot")
    manifest = write_corpus(sources, tmp_path / "out", delay=1.0, fps=25.0, grey=(0.421, 0.165))
    row = manifest.row(manifest.ids[0])
    assert row.subject == "S181"
    labels = pd.read_csv(row.labels)
    np.testing.assert_allclose(labels["time"], np.arange(30) / 25)
    np.testing.assert_allclose(labels["arousal"], np.arange(30) / 30 + 0.005, atol=1e-4)
    np.testing.assert_allclose(labels["valence"], -labels["arousal"])
    with VideoReader(row.path) as video:
        assert len(video) == 30
    with pytest.raises(UsageError, match="no such annotation"):
        find_sources("sewa", tmp_path / "video", tmp_path / "annot", "AV")
