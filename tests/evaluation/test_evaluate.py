"""The whole way: bundle and manifest in, figures, table, pictures and report out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mien.data.manifest import Manifest
from mien.errors import MienError, UsageError
from mien.evaluation import EvaluationSettings, evaluate
from mien.evaluation import metrics as m
from mien.evaluation.paired import against, read_predictions
from mien.evaluation.result import EvaluationResult, videos_of
from mien.models.specification import TaskConfig

CLASSES = TaskConfig(kind="classification", outputs=("dark", "bright"))
QUICK = EvaluationSettings(replicates=200)


def test_classes(corpus: Manifest, classifier: Path) -> None:
    """One clip is dark and found, three are called bright and two of them found."""
    result = evaluate(classifier, corpus, settings=QUICK)
    found = {score.name: score.value for score in result.scores}
    assert found["war"] == pytest.approx(3 / 4)
    assert found["uar"] == pytest.approx((1 + 2 / 3) / 2)
    assert result.confusion.tolist() == [[1, 0], [1, 2]]
    assert result.unit == "subject"
    assert result["uar"].interval.units == 2
    assert result["uar"].n == 4
    assert any("only 2 subjects" in note for note in result.notes)
    assert len(result.weights.sha256) == 64
    uar = result["uar"]
    assert repr(result) == (
        f"EvaluationResult(uar {uar.value:.3f}, {uar.interval.low:.3f} to {uar.interval.high:.3f} by subject, 4 clips, "
        f"{str(classifier)!r} on {corpus.name!r})"
    )


def test_clips_of_a_group_are_averaged_and_judged_once(
    corpus: Manifest, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Of the test clips 8..11 the last two are one video: sure of bright outweighs less sure of dark."""
    task = CLASSES.model_copy(update={"options": {"per": "group", "metric": "weighted_f1"}})
    bundle = make_bundle(tmp_path / "grouped", task, [-10.0, 10.0], [4.5, -4.5])
    groups = [None] * 10 + ["video"] * 2
    videos = Manifest(corpus.frame.assign(group=groups), corpus.root)
    alone = evaluate(bundle, Manifest(corpus.frame.assign(group=corpus.frame["path"]), corpus.root), settings=QUICK)
    result = evaluate(bundle, videos, settings=QUICK)
    assert (alone["war"].value, alone["war"].n) == (3 / 4, 4)
    assert (result["war"].value, result["war"].n, len(result.part.ids)) == (1, 3, 3)
    assert result.scores[0].name == "weighted_f1"
    merged = np.mean([clip.output for clip in alone.predictions.clips[2:]], axis=0)
    np.testing.assert_allclose(result.predictions.clips[2].output, merged)
    assert any("4 clips are averaged within 3 groups" in note for note in result.notes)
    with pytest.raises(UsageError, match="no column 'group'"):
        evaluate(bundle, corpus, settings=QUICK)
    torn = Manifest(corpus.frame.assign(group=[None] * 8 + ["video"] * 2 + [None] * 2), corpus.root)
    with pytest.raises(UsageError, match="different labels"):
        evaluate(bundle, torn, settings=QUICK)


def test_values_over_time(corpus: Manifest, reader: Path) -> None:
    """Valence is read off the picture, every one of 20 frames once; arousal is a constant: CCC 0, Pearson undefined."""
    result = evaluate(reader, corpus, settings=QUICK, metrics=("one_minus_mae",))
    assert [len(clip.times) for clip in result.predictions.clips] == [20] * 4
    np.testing.assert_allclose(result.predictions.clips[0].times, np.arange(20) / 25, atol=1e-6)
    assert result["ccc/valence"].value > 0.99
    assert result["ccc/arousal"].value == pytest.approx(0, abs=1e-6)
    assert math.isnan(result["pearson"].value)
    assert result["one_minus_mae/valence"].value > 0.98
    assert result["ccc/valence"].n == 80
    assert result["ccc_per_video"].n == 4
    assert result.summary()["scores"][0]["value"] == pytest.approx(result["ccc"].value)


Written = tuple[EvaluationResult, Path]


@pytest.fixture(scope="module")
def written(
    corpus: Manifest, classifier: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[EvaluationResult, Path]:
    result = evaluate(classifier, corpus, settings=QUICK)
    folder = tmp_path_factory.mktemp("out") / "deep/er"
    result.write(folder)
    return result, folder


def test_files_of_classes(written: Written) -> None:
    result, folder = written
    assert {path.name for path in folder.iterdir()} == {
        "metrics.json",
        "predictions.csv",
        "features.npz",
        "confusion.png",
        "risk_coverage.png",
        "report.html",
        "tables",
    }
    table = pd.read_csv(folder / "predictions.csv")
    assert list(table.columns) == ["id", "path", "subject", "truth", "prediction", "dark", "bright"]
    assert table["prediction"].tolist() == ["dark", "bright", "dark", "bright"]
    assert table["truth"].tolist() == ["dark", "bright", "bright", "bright"]
    np.testing.assert_allclose(table["dark"] + table["bright"], 1)
    assert m.uar(table["truth"] == "bright", table["prediction"] == "bright") == pytest.approx(result["uar"].value)
    summary = json.loads((folder / "metrics.json").read_text())
    assert summary["data"] | {"manifest": ""} == {
        "manifest": "",
        "part": "test",
        "protocol": result.part.digest,
        "clips": 4,
        "scored": 4,
        "frames": None,
    }
    bright = summary["classes"][1]
    assert (bright["name"], bright["n"], bright["predicted"]) == ("bright", 3, 2)
    assert bright["recall"]["value"] == pytest.approx(2 / 3)
    assert bright["f1"]["value"] == pytest.approx(0.8)
    assert summary["cost"]["parameters"] == 5  # the gain, and a linear layer from one feature to two classes
    assert summary["cost"]["macs_per_view"] == 2
    assert summary["cost"]["views"] == sum(clip.views for clip in result.predictions.clips)
    score = summary["scores"][0]
    assert (score["name"], score["n"], score["units"], score["level"]) == ("uar", 4, 2, 0.95)
    assert score["low"] <= score["value"] <= score["high"]


def test_the_report_stands_alone(written: Written) -> None:
    result, folder = written
    page = (folder / "report.html").read_text()
    sources = {found for found in re.findall(r'(?:src|href)="([^"]{0,22})', page) if not found.startswith("#")}
    assert sources == {"data:image/svg+xml;bas", "data:image/jpeg;base64"}
    assert not re.search(r"https?://|@import|url\(", page)
    for text in ("apparent", f"{result['uar'].value:.3f}", result.part.digest, result.weights.sha256, "@media print"):
        assert text in page


def test_pictures_are_pictures(written: Written, corpus: Manifest, reader: Path, tmp_path: Path) -> None:
    evaluate(reader, corpus, settings=QUICK).write(tmp_path)
    for path in (written[1] / "confusion.png", tmp_path / "scatter.png", tmp_path / "curves.png"):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        assert min(pixels.shape) > 300
        assert 0.01 < (pixels < 200).mean() < 0.9


def test_the_frame_table_reads_back(corpus: Manifest, reader: Path, tmp_path: Path) -> None:
    result = evaluate(reader, corpus, settings=QUICK)
    result.write(tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert list(table.columns[-5:]) == ["time", "truth_valence", "truth_arousal", "valence", "arousal"]
    back = read_predictions(tmp_path, result.task)
    np.testing.assert_allclose(back.output, result.predictions.output, rtol=1e-12)
    np.testing.assert_allclose(back.truth, result.predictions.truth, rtol=1e-12)


def test_same_seed_same_result(corpus: Manifest, classifier: Path) -> None:
    one, other = (evaluate(classifier, corpus, "all", QUICK).summary() for _ in range(2))
    assert one.pop("cost")["macs_per_view"] == other.pop("cost")["macs_per_view"]
    assert one == other


def test_unreadable_clips_are_listed_and_not_scored(corpus: Manifest, classifier: Path, tmp_path: Path) -> None:
    frame = corpus.frame.copy()
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    frame.loc[frame["id"] == "clip09", "path"] = str(broken)
    frame.loc[frame["id"] == "clip11", "path"] = "clips/missing.mp4"
    result = evaluate(classifier, Manifest(frame, corpus.root), settings=QUICK)
    assert [failure.id for failure in result.predictions.failures] == ["clip09", "clip11"]
    assert result["war"].n == 2
    assert any(note.startswith("2 of 4 clips could not be read") for note in result.notes)
    assert {entry["id"] for entry in result.summary()["not_scored"]} == {"clip09", "clip11"}
    paths = result.write(tmp_path / "out")
    assert "missing.mp4" in paths["report"].read_text()
    frame.loc[frame["split"] == "test", "path"] = [f"missing{number}.mp4" for number in range(4)]
    with pytest.raises(MienError, match="none of the 4 clips could be read; the first: ") as caught:
        evaluate(classifier, Manifest(frame, corpus.root), settings=QUICK)
    assert caught.value.exit_code == 1


def test_without_subjects_clips_are_drawn_and_it_is_said(corpus: Manifest, classifier: Path) -> None:
    bare = Manifest(corpus.frame.drop(columns="subject"), corpus.root)
    result = evaluate(classifier, bare, "all", QUICK)
    assert (result.unit, result["uar"].interval.units) == ("clip", 12)
    assert any(note.startswith("subjects are unknown: intervals take clips") for note in result.notes)


def test_a_run_says_which_weights(corpus: Manifest, run: Callable[..., Path]) -> None:
    result = evaluate(run(), corpus, settings=QUICK)
    assert result.weights.which == "best by uar on validation"
    assert not any("has seen" in note for note in result.notes)


def test_a_bare_encoder_and_a_missing_device_are_refused(
    corpus: Manifest, classifier: Path, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="bare encoder"):
        evaluate(make_bundle(tmp_path / "bare", None), corpus)
    for name in ("cuda:7", "abacus"):
        with pytest.raises(UsageError, match=f"device '{name}' is not there"):
            evaluate(classifier, corpus, settings=EvaluationSettings(device=name))


def test_worker_processes_change_nothing(corpus: Manifest, classifier: Path) -> None:
    alone = evaluate(classifier, corpus, "all", QUICK)
    helped = evaluate(classifier, corpus, "all", QUICK.model_copy(update={"workers": 2}))
    np.testing.assert_array_equal(alone.predictions.output, helped.predictions.output)


def test_paired_comparison(
    corpus: Manifest, classifier: Path, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """A second system that says bright to everything is right on 3 of 4 clips too, but on others."""
    bright = make_bundle(tmp_path / "bright", CLASSES, [0.0, 0.0], [0.0, 1.0])
    other = evaluate(bright, corpus, settings=QUICK)
    other.write(tmp_path / "other")
    result = evaluate(classifier, corpus, settings=QUICK)
    paired = against(result, tmp_path / "other")
    assert paired.comparisons["war"].difference == 0
    assert paired.comparisons["uar"].difference == pytest.approx(5 / 6 - 1 / 2)
    assert (paired.mcnemar.only_first, paired.mcnemar.only_second, paired.mcnemar.p_value) == (1, 1, 1)
    saved = json.loads(paired.write(tmp_path / "other").read_text())
    assert saved["scores"]["uar"]["second"] == 0.5
    with pytest.raises(UsageError, match="has 4 clips, this result 12, 4 in common"):
        against(evaluate(classifier, corpus, "all", QUICK), tmp_path / "other")
    with pytest.raises(UsageError, match="no predictions to compare with"):
        against(result, tmp_path / "nowhere")


def test_paired_comparison_of_values(corpus: Manifest, reader: Path, classifier: Path, tmp_path: Path) -> None:
    result = evaluate(reader, corpus, settings=QUICK)
    result.write(tmp_path)
    paired = against(result, tmp_path)
    assert set(paired.comparisons) == {score.name for score in result.scores}
    assert paired.comparisons["ccc"].difference == 0
    assert paired.mcnemar is None
    with pytest.raises(UsageError, match="it was written for another task"):
        against(evaluate(classifier, corpus, settings=QUICK), tmp_path)


def test_two_people_in_one_recording_are_two_videos(corpus: Manifest) -> None:
    frame = corpus.frame.assign(path=["clips/00.mp4"] * 12, subject=["a"] * 4 + ["b"] * 4 + [None] * 4)
    names = videos_of(Manifest(frame, corpus.root), corpus.ids)
    assert len(set(names[:4])) == len(set(names[4:8])) == 1
    assert len(set(names)) == 1 + 1 + 4
