"""``mien evaluate``: what it prints and writes, and one clear line for everything that is wrong."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.brightness import classifier, corpus, make_bundle, reader, register, run

from mien.data.manifest import Manifest

__all__ = ["classifier", "corpus", "make_bundle", "reader", "register", "run"]

DATA = Path(__file__).parents[1] / "evaluation" / "data"
PUBLISHED = json.loads((DATA / "published_predictions.json").read_text())["runs"]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(here: Command) -> Command:
    """Runs ``mien evaluate`` in an empty folder: exit code, standard output, standard error."""
    return lambda *arguments: here("evaluate", *arguments, "--workers", 0)


def table(corpus: Manifest, file: Path, /, **columns: object) -> Path:
    """The corpus's table elsewhere, with columns changed (None: taken out)."""
    frame = corpus.frame.copy()
    for name in ("path", "labels"):
        frame[name] = [str(corpus.root / value) for value in frame[name]]
    for name, values in columns.items():
        frame = frame.drop(columns=name) if values is None else frame.assign(**{name: values})
    frame.to_csv(file, index=False)
    return file


def test_a_run_is_judged(command: Command, corpus: Manifest, run: Callable[..., Path]) -> None:
    folder = run()
    code, out, _ = command(folder, "--data", corpus.root / "manifest.csv")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].endswith("manifest.csv: 4 of 4 clips scored")
    assert lines[1].split()[:2] == ["UAR", "0.833"]
    assert lines[1].endswith("n = 4 clips, 2 subjects")
    written = {path.name for path in (folder / "evaluation/test").iterdir()}
    files = {"metrics.json", "predictions.csv", "features.npz", "confusion.png", "risk_coverage.png", "report.html"}
    assert written == files | {"tables"}


def test_json_is_all_that_is_printed(command: Command, corpus: Manifest, classifier: Path, tmp_path: Path) -> None:
    code, out, err = command(
        classifier, "--data", corpus.root / "manifest.csv", "--split", "all", "--json", "--metric", "top_2"
    )
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert {score["name"]: score["n"] for score in result["scores"]} == dict.fromkeys(
        ("uar", "war", "macro_f1", "weighted_f1", "ece", "brier", "log_loss", "doubt_auc", "top_2"), 12
    )
    assert Path(result["files"]["report"]).resolve() == tmp_path / "evaluation/classifier/all/report.html"


def test_values_and_comparison(command: Command, corpus: Manifest, reader: Path) -> None:
    manifest = corpus.root / "manifest.csv"
    assert command(reader, "--data", manifest, "--out", "first")[0] == 0
    code, out, _ = command(reader, "--data", manifest, "--out", "second", "--against", "first")
    assert code == 0
    assert "difference to first" in out
    assert Path("second/comparison.json").is_file()
    assert {"scatter.png", "curves.png"} < {path.name for path in Path("second").iterdir()}


BAD_TABLES = {
    "no label column": ({"label": None}, "no column 'label'"),
    "a label missing": ({"label": [None, *["dark"] * 11]}, "has no label (NaN or empty)"),
    "a label outside the classes": (
        {"label": ["dim"] * 12},
        "label = 'dim', which is not one of the classes dark, bright",
    ),
    "train subjects in test": ({"subject": ["anna"] * 12}, "training and test share 1 subject(s): anna"),
    "no split": ({"split": None}, "no column 'split'"),
    "an unknown split": ({"split": ["exam"] * 12}, "has split 'exam'"),
    "no test rows": ({"split": ["train"] * 12}, "the test part has no clips"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(command: Command, corpus: Manifest, classifier: Path, tmp_path: Path, name: str) -> None:
    columns, message = BAD_TABLES[name]
    split = ["--split", "all"] if name.endswith(("missing", "classes")) else []
    code, out, err = command(classifier, "--data", table(corpus, tmp_path / "bad.csv", **columns), *split)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "evaluation").exists()


def test_trained_clips_are_refused(command: Command, corpus: Manifest, run: Callable[..., Path]) -> None:
    arguments = (run(), "--data", corpus.root / "manifest.csv", "--split", "all")
    code, _, err = command(*arguments)
    assert code == 2
    assert "4 of the judged clips trained these weights" in err
    code, out, _ = command(*arguments, "--published")
    assert code == 0
    assert "note: 4 of the judged clips trained these weights" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere", "--data", "MANIFEST"], 2, "does not exist"),
        (["BUNDLE", "--data", "nowhere.csv"], 2, "nowhere.csv"),
        (["BUNDLE", "--data", "MANIFEST", "--device", "cuda:9"], 2, "device 'cuda:9' is not there"),
        (["BUNDLE", "--data", "MANIFEST", "--metric", "ccc"], 2, "'ccc' judges values, this task has classes"),
        (["BUNDLE", "--data", "MANIFEST", "--protocol", "MANIFEST"], 2, "not a protocol file"),
        (["BUNDLE", "--data", "MANIFEST", "--against", "nowhere"], 2, "no predictions to compare with"),
        (["BUNDLE", "--data", "MANIFEST", "--out", "MANIFEST"], 2, "is a file, and a folder is written"),
        (["BUNDLE", "--data", "MANIFEST", "--split", "exam"], 2, "exam"),
        (["BUNDLE"], 2, "--data"),
        (["BUNDLE", "--data", "."], 2, "is a folder"),
        (["nowhere.csv"], 2, "nowhere.csv"),
        (["MANIFEST", "--missing"], 2, "--missing: "),
        (["MANIFEST", "--data", "MANIFEST"], 2, "--data: "),
        (["MANIFEST"], 2, "manifest.csv"),
    ],
)
def test_bad_usage(
    command: Command, corpus: Manifest, classifier: Path, arguments: list[str], code: int, message: str
) -> None:
    places = {"BUNDLE": classifier, "MANIFEST": corpus.root / "manifest.csv"}
    found, _, err = command(*(places.get(word, word) for word in arguments))
    assert found == code
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_of_published_runs_give_what_their_authors_logged(command: Command, tmp_path: Path, name: str) -> None:
    """Every kept file of published predictions, through the command line, to the last digit that was logged."""
    run, arrays = PUBLISHED[name], np.load(DATA / "published_predictions.npz")
    own = {key.removeprefix(f"{name}."): arrays[key] for key in arrays.files if key.startswith(f"{name}.")}
    np.savez(tmp_path / "file.npz", **own)
    names = ",".join(run["classes"])
    code, out, err = command("file.npz", "--classes", names, "--out", "out", "--replicates", "10", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    found = {score["name"]: score["value"] for score in told["scores"]}
    exact, logged = run["exact"], run["logged"]
    assert told["confusion"] == exact["confusion"] == logged["confusion"]
    for metric in ("uar", "war", "macro_f1", "weighted_f1"):
        assert found[metric] == pytest.approx(exact[metric], abs=1e-12)
    assert [round(100 * found["uar"], 2), round(100 * found["war"], 2)] == logged["uar_war"][0]
    assert [round(found[metric], 4) for metric in ("weighted_f1", "war", "macro_f1")] == logged["f1"][0]
    recalls = [f"{100 * one['recall']['value']:.2f}%" for one in told["classes"]]
    assert recalls == ast.literal_eval(logged["class_acc"])
    saved = json.loads((tmp_path / "out/metrics.json").read_text())
    assert saved["scores"] == told["scores"]
    assert ("reliability" in told) == ("logits" in own)


BAD_FILES = {
    "no truth": ("prediction\ncalm\n", [], "no column 'truth'"),
    "no prediction": ("truth,prediction\ncalm,\n", [], "no prediction for every row"),
    "a strange class": (
        "truth,prediction\ncalm,fear\n",
        ["--classes", "calm,cheer"],
        "'fear' is none of the classes",
    ),
    "empty": ("", [], "no table of predictions"),
    "per frame": ("id,time,truth,prediction\na,0,calm,calm\n", [], "judged with their run"),
    "an unknown metric": ("truth,prediction\ncalm,calm\ncheer,calm\n", ["--metric", "accuracy"], "accuracy"),
    "a metric of values": ("truth,prediction\ncalm,calm\ncheer,calm\n", ["--metric", "ccc"], "judges values"),
    "an unknown group": ("truth,prediction\ncalm,calm\ncheer,calm\n", ["--group", "age"], "age"),
    "the same clip twice": ("id,truth,prediction\na,calm,calm\na,cheer,calm\n", [], "'a'"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_of_predictions(command: Command, tmp_path: Path, name: str) -> None:
    text, options, message = BAD_FILES[name]
    (tmp_path / "answers.csv").write_text(text)
    code, out, err = command("answers.csv", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "evaluation").exists()


def test_nothing_readable_is_a_failure(command: Command, corpus: Manifest, classifier: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    rows = table(corpus, tmp_path / "bad.csv", path=[str(empty)] * 12, start=np.arange(12.0))
    code, _, err = command(classifier, "--data", rows, "--split", "all")
    assert code == 1
    assert "none of the 12 clips could be read" in err
