"""One clear line and an exit code for what verbs cannot do anything with; nothing is written before it is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mien.data.manifest import Manifest

CASES = [
    ("extract folder --features mfcc=mfcc", 2, "folder: is a folder; give a CSV or Parquet table"),
    ("evaluate predictions.csv --submission out.csv", 2, "--submission: predictions.csv is a file of predictions"),
    ("evaluate nowhere --data MANIFEST --against folder", 2, "--against folder: no predictions to compare with"),
    ("evaluate nowhere --data MANIFEST --out text.txt/new", 2, "--out text.txt/new lies in text.txt, which is a file"),
    ("evaluate nowhere --data MANIFEST --submission folder", 2, "--submission folder is a folder, and one file is"),
    ("evaluate predictions.csv --out run", 2, "--out run is a run, which has a report of its own; name run/evaluation"),
    ("evaluate predictions.csv --against folder", 2, "--against folder: no predictions to compare with"),
    ("extract MANIFEST --features mfcc=mfcc --out folder", 2, "--out folder is a folder, and one file is written"),
    ("extract MANIFEST --features mfcc=mfcc --out text.txt", 2, "text.txt is there and is no store of streams"),
    ("corpora pack MANIFEST text.txt", 2, "text.txt is a file or lies in one, and a folder is written"),
    ("report predictions.csv --out run", 2, "--out run is a run"),
    ("corpora view MANIFEST --out folder", 2, "--out folder is a folder"),
    (
        "corpora join MANIFEST --out new.csv --merge nothing=neutral",
        2,
        "merge nothing=neutral: no clip has that class; ",
    ),
    ("convert svfap text.txt --out run", 2, "run holds other things than a bundle"),
    ("prepare --corpus dfew folder --out text.txt/new", 2, "--out text.txt/new lies in text.txt, which is a file"),
    ("report predictions.csv predictions.csv", 2, "predictions.csv is named twice"),
    ("train svfap/finetune_synthetic --jobs 2", 2, "--jobs 2: only folds are trained side by side"),
    ("train svfap/finetune_synthetic --folds ,", 2, "--folds: name folds with commas, or all"),
    ("prepare folder --out new --partial", 2, "say how to take a public corpus; add --corpus NAME"),
    ("corpora join MANIFEST --out text.txt", 2, "text.txt: a table ends in .csv or .parquet"),
    ("corpora check MANIFEST --protocol folder", 2, "folder: not a protocol file (Is a directory)"),
    ("corpora check MANIFEST --protocol other.json", 2, "other.json: not a protocol file (no digest in it)"),
    ("corpora continuous sewa --videos folder --annotations folder --out new", 2, "there are no folders"),
    ("convert svfap folder --out new.pth --to-published", 2, "weights are written as safetensors only"),
]


@pytest.mark.parametrize(("line", "code", "message"), CASES, ids=[case[0] for case in CASES])
def test_one_line(
    here: Callable[..., tuple[int, str, str]],
    tiny_corpus: Manifest,
    tmp_path: Path,
    line: str,
    code: int,
    message: str,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/recipe.yaml").write_text("")
    (tmp_path / "text.txt").write_text("kept")
    (tmp_path / "other.json").write_text('{"train": []}')
    (tmp_path / "predictions.csv").write_text("id,truth,prediction\na,0,0\n")
    before = sorted(tmp_path.rglob("*"))
    manifest = tiny_corpus.root / "manifest.csv"
    found, out, err = here(*(manifest if word == "MANIFEST" else word for word in line.split()))
    assert (found, out) == (code, "")
    assert err.startswith("mien: ")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "text.txt").read_text() == "kept"
