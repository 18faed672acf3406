"""``mien corpora`` and ``mien prepare --corpus`` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.corpora.miniatures import crema_d, dfew, ferv39k
from typer.testing import CliRunner

from mien.cli.corpora import app
from mien.cli.prepare import app as prepare
from mien.data.manifest import Manifest
from mien.errors import MienError, UsageError

RUN = CliRunner()


def printed(*arguments: str | Path) -> str:
    done = RUN.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_list_and_show() -> None:
    assert {"dfew", "first-impressions", "frame-folders"} <= set(json.loads(printed("--json")))
    text = printed("show", "dfew")
    assert "1: 9,356/2,341" in text
    assert "dfew-dataset.github.io" in text
    facts = json.loads(printed("show", "ravdess", "--json"))
    assert [label["name"] for label in facts["labels"]][:2] == ["neutral", "calm"]


def test_prepare_join_divide_check_and_view(tmp_path: Path) -> None:
    dfew(tmp_path / "DFEW")
    ferv39k(tmp_path / "FERV")
    for name, copy in (("dfew", "DFEW"), ("ferv39k", "FERV")):
        arguments = ["--corpus", name, str(tmp_path / copy), "--out", str(tmp_path / name), "--json"]
        done = RUN.invoke(prepare, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["clips"] == {"dfew": 10, "ferv39k": 3}[name]
    assert len(list((tmp_path / "dfew/protocols").glob("*.json"))) == 5
    both = tmp_path / "both/manifest.csv"
    tables = [tmp_path / "dfew/manifest.csv", tmp_path / "ferv39k/manifest.csv"]
    assert "6 clips of dfew have none of these classes" in printed("join", *tables, "--out", both)
    text = printed("join", *tables, "--out", both, "--classes", "7")
    assert "13 clips, classes happy, sad, neutral, angry, surprise, disgust, fear" in text
    made = json.loads(printed("divide", both, "--by", "corpus", "--out", tmp_path / "both/protocols", "--json"))
    assert (made["fold-dfew"]["training"], made["fold-dfew"]["test"]) == (3, 10)
    assert "fold-dfew: nothing is shared" in printed(
        "check", both, "--protocol", tmp_path / "both/protocols/fold-dfew.json"
    )
    # All pictures of the miniatures are alike, which only a look at the bytes can tell.
    done = RUN.invoke(
        app, ["check", str(both), "--protocol", str(tmp_path / "both/protocols/fold-dfew.json"), "--content"]
    )
    assert done.exit_code == 1
    assert "LEAK" in done.output


def test_pack_and_what_it_refuses(tiny_corpus: Manifest, tmp_path: Path) -> None:
    source = tiny_corpus.root / "manifest.csv"
    done = json.loads(printed("pack", source, tmp_path / "shards", "--shard-mib", "1", "--json"))
    packed = Manifest.read(done["manifest"])
    assert packed.ids == tiny_corpus.ids
    assert done["clips"] == len(tiny_corpus)
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names == ["manifest.csv", *(f"shard-{number:05d}.tar" for number in range(done["shards"]))]
    for arguments, message in (
        (["pack", source, tmp_path / "shards"], "holds a corpus already; choose another folder"),
        (["pack", tmp_path / "shards/manifest.csv", tmp_path / "again"], "lies in shards already"),
        (["pack", tmp_path / "none.csv", tmp_path / "again"], "none.csv: no such file"),
    ):
        with pytest.raises(UsageError, match=message):
            RUN.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_uncut_corpora_are_cut_unless_they_are_wanted_as_they_are(tmp_path: Path) -> None:
    crema_d(tmp_path / "copy")
    arguments = ["--corpus", "crema-d", str(tmp_path / "copy"), "--out", str(tmp_path / "out")]
    done = RUN.invoke(prepare, [*arguments, "--as-is"], catch_exceptions=False)
    assert "4 clips of crema-d" in done.output
    assert "warning: 4 clips in all, published are 7,442" in done.output
    assert Manifest.read(tmp_path / "out/manifest.csv").ids[0] == "1001_DFA_NEU_XX"
    # The miniature's files are no videos: cutting goes on from corpus.csv and says so.
    with pytest.raises(MienError, match=r"no clip came of 4 inputs: .*1001_DFA_NEU_XX.flv: "):
        RUN.invoke(prepare, arguments, catch_exceptions=False)
    assert (tmp_path / "out/corpus.csv").is_file()


def test_divide_takes_training_clips_by_quality(tiny_corpus: Manifest, tmp_path: Path) -> None:
    table = tiny_corpus.frame.assign(sharpness=range(14))
    Manifest(table, tiny_corpus.root).write(tmp_path / "manifest.csv")
    arguments = ["divide", tmp_path / "manifest.csv", "--by", "split", "--out", tmp_path / "p", "--highest"]
    text = printed(*arguments, "sharpness=6", "--lowest", "sharpness=2")
    train = table[table["split"] == "train"]
    kept = train["sharpness"].between(2, 6).sum()
    assert f"note: {kept} of {len(train)} training rows have sharpness >= 2 and sharpness <= 6" in text
    with pytest.raises(UsageError, match="--highest sharpness: write column=number"):
        RUN.invoke(app, [*map(str, arguments), "sharpness"], catch_exceptions=False)
