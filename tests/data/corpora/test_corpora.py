"""Every corpus from a miniature in its official layout: rows, labels, folds, and what users are told if it is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.data.corpora.building import Miniature
from tests.data.corpora.miniatures import MINIATURES

from mien.data.corpora import Corpus, corpora, get_corpus
from mien.data.corpora.describe import describe
from mien.data.corpora.official import read_findings, write_official, write_protocols
from mien.data.manifest import Manifest
from mien.errors import MienError, UsageError

NAMED = pytest.mark.parametrize("name", MINIATURES)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copies")
    for name, miniature in MINIATURES.items():
        miniature.build(root / name)
    return root


def damaged(copies: Path, name: str, tmp_path: Path, gone: str) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(copies / name, copy)
    path = copy / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copy


def parts(name: str) -> tuple[Corpus, Miniature]:
    return get_corpus(name.split(" ")[0]), MINIATURES[name]


@NAMED
def test_rows_of_a_copy(name: str, copies: Path, tmp_path: Path) -> None:
    corpus, miniature = parts(name)
    done = write_official(corpus, copies / name, tmp_path, miniature.choices)
    manifest = Manifest.read(done.manifest)
    assert tuple(manifest.ids) == miniature.ids
    for column, values in miniature.columns.items():
        have = manifest.frame[column]
        assert tuple(have.astype("object").where(have.notna(), None)) == values, column
    assert all(manifest.row(id_).path.exists() for id_ in manifest.ids)
    assert done.cropped is miniature.cropped
    if "label" in manifest.frame and corpus.labels:
        assert {name for label in manifest.frame["label"] for name in label.split("_")} <= set(corpus.classes)


@NAMED
def test_protocols_divide_the_rows(name: str, copies: Path, tmp_path: Path) -> None:
    corpus, miniature = parts(name)
    done = write_official(corpus, copies / name, tmp_path, miniature.choices)
    protocols = write_protocols(corpus, done.manifest, tmp_path)
    assert bool(protocols) is ("fold" in miniature.columns or "split" in miniature.columns)
    for protocol in protocols.values():
        assert protocol.train or protocol.validation
        assert set(protocol.train + protocol.validation + protocol.test) <= set(miniature.ids)
    if "fold" in miniature.columns:
        assert sorted(id_ for one in protocols.values() for id_ in one.test) == sorted(miniature.ids)


@NAMED
def test_the_wrong_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "notes.txt").write_text("nothing")
    corpus, miniature = parts(name)
    with pytest.raises(UsageError) as caught:
        corpus.scan(tmp_path / "holiday", **miniature.choices)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "holiday") in str(caught.value)
    with pytest.raises(UsageError, match="no such folder"):
        corpus.scan(tmp_path / "nowhere", **miniature.choices)


@pytest.mark.parametrize("name", [name for name, one in MINIATURES.items() if one.lists])
def test_a_missing_list_is_named(name: str, copies: Path, tmp_path: Path) -> None:
    corpus, miniature = parts(name)
    assert miniature.lists is not None
    copy = damaged(copies, name, tmp_path, miniature.lists)
    with pytest.raises(UsageError) as caught:
        corpus.scan(copy, **miniature.choices)
    assert Path(miniature.lists).name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name, one in MINIATURES.items() if one.remove])
def test_a_partly_unpacked_copy_says_what_is_missing(name: str, copies: Path, tmp_path: Path) -> None:
    corpus, miniature = parts(name)
    copy, out = damaged(copies, name, tmp_path, miniature.remove), tmp_path / "out"
    if not miniature.patchy:
        with pytest.raises(MienError, match=r"\d of .* (are not|have no clip)") as caught:
            write_official(corpus, copy, out, miniature.choices)
        assert "--partial" in str(caught.value)
        assert not (out / "manifest.csv").exists()
    done = write_official(corpus, copy, out, miniature.choices, partial=True)
    have = Manifest.read(done.manifest).ids
    lost = sorted(set(miniature.ids) - set(have))
    assert lost
    told = [finding for finding in read_findings(out) if " of " in finding.text and finding.items]
    assert [finding.level for finding in told] == ["warning" if miniature.patchy else "error"]
    # Some corpora name people or tasks, which their clips' ids begin with.
    assert all(id_.startswith(told[0].items) for id_ in lost)
    notes = [note for one in write_protocols(corpus, done.manifest, out).values() for note in one.notes]
    assert not notes or miniature.patchy or any(told[0].line in note for note in notes)


@pytest.mark.parametrize("corpus", corpora().values(), ids=list(corpora()))
def test_ids_of_classes_are_their_places(corpus: Corpus) -> None:
    assert [label.id for label in corpus.labels] == list(range(len(corpus.labels)))
    for counts in corpus.counts.values():
        assert set(counts.classes) <= set(corpus.classes)
        if counts.total and counts.parts and sum(counts.parts.values()) > 0:
            assert sum(counts.parts.values()) == counts.total
        if counts.total and counts.classes:
            assert sum(counts.classes.values()) == counts.total


@pytest.mark.parametrize(
    "corpus", [one for one in corpora().values() if one.access != "yours"], ids=lambda one: one.name
)
def test_users_are_told_whom_to_ask(corpus: Corpus, tmp_path: Path) -> None:
    text = " ".join(describe(corpus).split())
    assert corpus.link.startswith("https://")
    assert all(said in text for said in (corpus.link, corpus.access, corpus.licence))
    with pytest.raises(UsageError, match=f"corpora show {corpus.name}|name it: --choose table|unpack"):
        corpus.scan(tmp_path)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean dfew"):
        get_corpus("dfwe")
    with pytest.raises(UsageError, match="pictures='sketch'; choose faces or faces16 or recordings"):
        get_corpus("dfew").scan(".", pictures="sketch")
    with pytest.raises(UsageError, match="no choice 'colour'; there are pictures"):
        get_corpus("dfew").scan(".", colour="red")
