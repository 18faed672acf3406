"""Reports: what they say is what was measured, they load nothing, and their tables are the same in every form."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation import EvaluationSettings, evaluate
from mien.evaluation.given import judge_file
from mien.evaluation.pictures import curves_picture
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.report import drawings, load_source, of_result, render, write_report
from mien.evaluation.report.comparison import comparisons
from mien.evaluation.report.drawings import project
from mien.evaluation.report.sources import RunFiles, Source
from mien.models.specification import TaskConfig
from mien.tasks import create_task

DATA = Path(__file__).parent / "data"
RUNS = json.loads((DATA / "published_predictions.json").read_text())["runs"]
QUICK = EvaluationSettings(replicates=60)
FERV = ("ferv39k_add", "ferv39k_add_pos", "ferv39k_normal_folder", "ferv39k_add_4x5x10")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One NPZ per published run, as their authors' files were kept."""
    folder, arrays = tmp_path_factory.mktemp("published"), np.load(DATA / "published_predictions.npz")
    for name in RUNS:
        own = {key.removeprefix(f"{name}."): arrays[key] for key in arrays.files if key.startswith(f"{name}.")}
        np.savez(folder / f"{name}.npz", **own)
    return {name: folder / f"{name}.npz" for name in RUNS}


def test_files_of_published_runs_give_their_figures(published: dict[str, Path]) -> None:
    for name in ("ferv39k_add", "dfew_split01_mae_dfer"):
        result = judge_file(published[name], QUICK, RUNS[name]["classes"])
        exact = RUNS[name]["exact"]
        found = {score.name: score.value for score in result.scores}
        for metric, key in (("uar", "uar"), ("war", "war"), ("macro_f1", "macro_f1"), ("weighted_f1", "weighted_f1")):
            assert found[metric] == pytest.approx(exact[key], abs=1e-14)
        assert result.confusion is not None
        assert result.confusion.tolist() == exact["confusion"]
        assert ("ece" in found) == (name == "dfew_split01_mae_dfer")


def test_the_published_comparison_has_the_published_p_values(published: dict[str, Path]) -> None:
    """Exact McNemar between the runs with contrast attention: 0.38, 0.60 and 0.007 against the first."""
    sources = [of_result(judge_file(published[name], QUICK, RUNS[name]["classes"]), name) for name in FERV]
    (differences, table), problems = comparisons(sources)
    assert (differences.name, table.name) == ("differences", "mcnemar")
    assert not problems
    at = table.head.index("McNemar p")
    values = [row[at].value for row in table.rows[:3]]
    assert values == [pytest.approx(0.38, abs=0.005), pytest.approx(0.60, abs=0.005), pytest.approx(0.007, abs=0.0005)]
    assert [row[0] for row in table.rows[:3]] == [f"ferv39k_add − {name}" for name in FERV[1:]]
    assert len(table.rows) == 6
    assert len(differences.rows) == 12
    for one in (differences, table):
        assert one.mark is not None
        assert one.mark[1].text == "both: not recorded"
        assert "6 comparisons are made" in one.note
    corrected = [row[at + 1].value for row in table.rows]
    assert corrected[2] == pytest.approx(6 * min(row[at].value for row in table.rows), rel=1e-9)
    page, _ = render(sources[:2])
    assert "0.38" in page


def test_a_run_s_report_is_whole_and_loads_nothing(corpus: Manifest, run: Callable[..., Path], tmp_path: Path) -> None:
    folder = run()
    (folder / "logs").mkdir()
    pd.DataFrame({"step": [1, 2], "epoch": [0.5, 1], "loss": [1.0, 0.5], "lr": [0.1, 0.1]}).to_csv(
        folder / "logs" / "train.csv", index=False
    )
    frame = corpus.frame.assign(gender=["f", "m"] * 6)
    result = evaluate(folder, Manifest(frame, corpus.root), settings=QUICK)
    paths = result.write(folder / "evaluation" / "test")
    assert {"report", "tables", "features", "metrics"} <= paths.keys()
    assert "blurred whole" in paths["report"].read_text()
    written = write_report([load_source(folder)], tmp_path / "report.html")
    page = written["report"].read_text()
    assert page == write_report([load_source(folder)], tmp_path / "again.html")["report"].read_text()
    outside = re.sub(r'src="data:image/(?:png|jpeg|svg\+xml);base64,[^"]*"', "", page)
    assert not re.search(r"https?://|@import|url\(|src=|<link", outside)
    for text in (
        "By gender",
        "Reliability",
        "Risk and coverage",
        "Embeddings",
        "Training",
        result.part.digest,
        "mien evaluate",
        "mien train",
    ):
        assert text in re.sub(r"<[^>]+>", "", outside)
    assert result.part.seen.mark in page
    rows = list(csv.DictReader((written["tables"] / "results.csv").open()))
    assert float(rows[0]["value"]) == result["uar"].value
    assert {row["corpus seen in training"] for row in rows} == {result.part.seen.mark}
    marked = [text for text in re.findall(r"<table.*?</table>", outside, re.DOTALL) if 'class="words"' not in text]
    assert len(marked) >= 6
    assert all(result.part.seen.mark in text for text in marked)
    files = list(written["tables"].iterdir())
    assert len(files) >= 18
    assert all(result.part.seen.mark in file.read_text() for file in files)
    for name in ("results", "classes", "groups_gender", "cost", "hardest", "ambiguous", "ledger"):
        assert {path.suffix for path in written["tables"].glob(f"{name}.*")} == {".csv", ".tex", ".md"}


def test_values_are_reported_and_what_cannot_be_compared_is_said(
    corpus: Manifest, reader: Path, classifier: Path, tmp_path: Path
) -> None:
    one, other = (of_result(evaluate(path, corpus, settings=QUICK), path.name) for path in (reader, classifier))
    page, found = render([one, other])
    assert "have other outputs and cannot be compared" in page
    links = re.findall(r'href="#([^"]+)"', page)
    assert {one.name, other.name} <= set(links)
    assert all(page.count(f'id="{link}"') == 1 for link in links)
    assert "Hardest clips" in page
    assert found[0].name == "results"


def test_csv_of_any_origin(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"id": list("abcdef"), "subject": list("xxyyzz"), "truth": list("PPQQPQ"), "prediction": list("PQQQPP")}
    )
    frame.to_csv(tmp_path / "names.csv", index=False)
    result = judge_file(tmp_path / "names.csv", QUICK)
    assert result["war"].value == pytest.approx(4 / 6)
    assert result.unit == "subject"
    assert not result.probable
    assert "Reliability" not in render([of_result(result, "names")])[0]
    values = pd.DataFrame({"truth_valence": [0.1, 0.2, 0.4], "valence": [0.2, 0.2, 0.3]})
    values.to_csv(tmp_path / "values.csv", index=False)
    assert judge_file(tmp_path / "values.csv", QUICK)["mae"].value == pytest.approx(0.2 / 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_pred": [0, 1]}, "it needs y_true"),
        ({"y_true": [0, 1], "y_pred": [0]}, "y_pred has 1 rows, y_true 2"),
        ({"y_true": [0, 9], "probabilities": [[0.5, 0.5], [0.5, 0.5]]}, r"class id 9 must lie in 0\.\.1"),
        ({"y_true": [0, 1], "y_pred": [0, -3]}, "class id -3 must lie in"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, arrays: dict[str, list], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **{name: np.asarray(values) for name, values in arrays.items()})
    with pytest.raises(UsageError, match=message):
        judge_file(tmp_path / "bad.npz")
    with pytest.raises(UsageError, match="is no run, evaluation or file"):
        load_source(tmp_path / "nowhere")


def test_the_plane_keeps_what_varies_most() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 8)) * np.array([9, 5, *[0.01] * 6])
    plane, names = project(features, "pca")
    centred = features - features.mean(axis=0)
    assert abs(np.corrcoef(plane[:, 0], centred[:, 0])[0, 1]) > 0.99
    assert abs(np.corrcoef(plane[:, 1], centred[:, 1])[0, 1]) > 0.99
    assert "% of the variance" in names[0]
    with pytest.raises(UsageError, match="map 'magic' is not known"):
        project(features, "magic")


def on_a_map(clips: int, wrong: int) -> Source:
    """Clips of three classes, the first of which are answered wrong, with features."""
    task = create_task(TaskConfig(kind="classification", outputs=("calm", "joy", "fear")))
    rng, truth = np.random.default_rng(0), np.arange(clips) % 3
    output = np.eye(3)[np.where(np.arange(clips) < wrong, truth + 1, truth) % 3]
    answers = [
        ClipPrediction(f"c{n:03}", output[n : n + 1], truth[n : n + 1], np.full(1, np.nan), 1) for n in range(clips)
    ]
    predictions = Predictions(tuple(answers))
    return Source("run", None, pd.DataFrame(), task, predictions, features=rng.normal(size=(clips, 5)))


def marks_of(source: Source) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Shape and colour of the filled and of the hollow marks of a map."""
    drawn = (drawings.embedding(source) or b"").decode()
    style = r'style="fill: (none|#\w+); stroke: (#\w+);'
    found = re.findall(r'<use xlink:href="#(\w+)"[^>]*' + style, drawn)
    colours = [colour.lower() for colour in drawings.COLOURS]
    marks = [(shape, fill, stroke) for shape, fill, stroke in found if stroke in colours[:3]]
    filled = [(shape, stroke) for shape, fill, stroke in marks if fill != "none"]
    return filled, [(shape, stroke) for shape, fill, stroke in marks if fill == "none"]


def test_a_map_tells_classes_by_marks_and_wrong_answers_by_hollow_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    source = on_a_map(90, wrong=30)
    filled, hollow = marks_of(source)
    assert len(filled) == 60 + 3  # and one of each class in the legend
    calm = drawings.COLOURS[0].lower()
    assert [colour for _, colour in hollow].count(calm) == 10
    assert len({shape for shape, _ in filled}) == len({colour for _, colour in filled}) == 3
    assert "hollow marks were answered wrong" in drawings.about_embedding(source, "pca")
    assert "mean nothing" not in drawings.about_embedding(source, "pca")
    assert "the axes mean nothing" in drawings.about_embedding(source, "tsne")
    monkeypatch.setattr(drawings, "MOST_POINTS", 10)
    filled, hollow = marks_of(source)  # ten of the first class, four of them wrong
    assert (len(filled), len(hollow)) == (6 + 3, 4)
    assert "One of every 9 clips is drawn." in drawings.about_embedding(source, "pca")


def test_courses_of_binned_outputs_are_drawn_on_the_scale_of_their_values() -> None:
    """Columns behind the values hold raw outputs of bins, which no axis must make room for."""
    rng, times = np.random.default_rng(0), np.arange(10) / 5
    truth = rng.uniform(-1, 1, (10, 2))
    output = np.concatenate([truth / 2, rng.uniform(-30, 30, (10, 40))], axis=1)
    clip = ClipPrediction("c", output, truth, times, 1)
    figure = curves_picture(Predictions((clip,)), ("arousal", "valence"))
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert -1.2 < low < truth.min()
        assert truth.max() < high < 1.2


def test_epochs_are_whole_and_long_names_stay_apart() -> None:
    names = [f"a_rather_long_name_of_a_system_number_{n}" for n in range(10)]
    log = pd.DataFrame({"step": [10, 20], "epoch": [20, 40], "uar": [0.81, 0.83]})
    run = RunFiles(Path(), {}, {}, (), pd.DataFrame(), log)
    sources = [Source(name, None, pd.DataFrame(), run=run) for name in names]
    drawn = (drawings.learning(sources, "uar", "validation", "UAR") or b"").decode()
    said = re.findall(r"<!-- (.+?) -->", drawn)
    assert "20" in said
    assert "22.5" not in said
    assert len({text for text in said if text.startswith("a_rather")}) == 10
    # colours come round again after eight; the line differs then
    assert re.search(r"stroke-dasharray[^\"]*stroke: #0072b2", drawn, re.IGNORECASE)
