"""Protocols: division by split, fold and subject, the digest, and refusal of leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol, ProtocolSettings
from mien.errors import UsageError


def manifest(**columns: list[object]) -> Manifest:
    count = len(next(iter(columns.values())))
    ids = {"id": [f"r{at:02}" for at in range(count)]}
    paths = {"path": [f"{at}.mp4" for at in range(count)]}
    return Manifest(pd.DataFrame({**ids, **paths, **columns}), "/corpus")


def test_by_split_with_the_usual_spellings() -> None:
    table = manifest(split=["train", "Train", "val", "dev", "test", None], subject=list("aabcdd"))
    protocol = Protocol.from_manifest(table)
    assert protocol.train == ("r00", "r01")
    assert protocol.validation == ("r02", "r03")
    assert protocol.test == ("r04",)
    assert protocol.notes == ()


def test_digest_is_that_of_the_sorted_ids() -> None:
    """Worked by hand: sha256 of the compact JSON."""
    import hashlib

    table = manifest(split=["test", "train", "train"], subject=list("abc"))
    text = '{"train":["r01","r02"],"validation":[],"test":["r00"]}'
    assert Protocol.from_manifest(table).digest == hashlib.sha256(text.encode()).hexdigest()


@settings(max_examples=30)
@given(st.permutations(range(12)), st.integers(0, 3))
def test_order_of_rows_never_matters(order: list[int], seed: int) -> None:
    subjects = [f"s{at % 6}" for at in range(12)]
    table = manifest(subject=subjects)
    shuffled = Manifest(table.frame.iloc[list(order)], "/corpus")
    choice = ProtocolSettings(by="subject", fold=1, folds=3, validation=0.3, seed=seed)
    assert Protocol.from_manifest(table, choice) == Protocol.from_manifest(shuffled, choice)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=20, max_size=60), st.integers(2, 4), st.integers(0, 5))
def test_folds_of_subjects_partition_rows_and_share_nobody(subjects: list[int], folds: int, seed: int) -> None:
    names = [f"s{name}" for name in subjects]
    if len(set(names)) < folds:
        return
    table = manifest(subject=names)
    who = dict(zip(table.ids, names, strict=True))
    tests: list[str] = []
    for fold in range(folds):
        choice = ProtocolSettings(by="subject", fold=fold, folds=folds, validation=0.2, seed=seed)
        protocol = Protocol.from_manifest(table, choice)
        parts = [{who[id_] for id_ in part} for part in (protocol.train, protocol.validation, protocol.test)]
        assert len(parts[0] | parts[1] | parts[2]) == sum(map(len, parts))
        assert sorted(protocol.train + protocol.validation + protocol.test) == sorted(table.ids)
        tests += protocol.test
    assert sorted(tests) == sorted(table.ids)


def test_folds_are_balanced() -> None:
    table = manifest(subject=[f"s{at}" for at in range(10) for _ in range(at + 1)])
    sizes = [len(Protocol.from_manifest(table, ProtocolSettings(by="subject", fold=f)).test) for f in range(5)]
    assert sizes == [11, 11, 11, 11, 11]


def test_by_fold_column() -> None:
    table = manifest(fold=["1", "2", "3", "1"], subject=list("abca"))
    protocol = Protocol.from_manifest(table, ProtocolSettings(by="fold", fold=1, validation_fold="3"))
    assert (protocol.train, protocol.validation, protocol.test) == (("r01",), ("r02",), ("r00", "r03"))
    with pytest.raises(UsageError, match="no fold 9; the column has 1, 2, 3"):
        Protocol.from_manifest(table, ProtocolSettings(by="fold", fold=9))


def test_random_folds_are_stamped() -> None:
    table = manifest(valence=[0.0] * 20)
    protocol = Protocol.from_manifest(table, ProtocolSettings(by="random", fold=0, seed=3))
    assert len(protocol.test) == 4
    assert any("random folds of single rows (seed 3)" in note for note in protocol.notes)
    assert any("subjects are unknown" in note for note in protocol.notes)
    other = Protocol.from_manifest(table, ProtocolSettings(by="random", fold=0, seed=4))
    assert other.digest != protocol.digest


def test_all_rows_train() -> None:
    protocol = Protocol.from_manifest(manifest(subject=list("ab")), ProtocolSettings(by="all"))
    assert protocol.train == ("r00", "r01")


@pytest.mark.parametrize("column", ["subject", "group"])
def test_training_people_in_the_test_are_refused_unless_published(column: str) -> None:
    table = manifest(split=["train", "train", "test"], **{column: ["ann", "bob", "ann"]})
    with pytest.raises(
        UsageError, match=rf"training and test share 1 {column}\(s\): ann; .*published = true"
    ) as caught:
        Protocol.from_manifest(table)
    assert "\n" not in str(caught.value)
    protocol = Protocol.from_manifest(table, ProtocolSettings(published=True))
    assert any(f"share 1 {column}(s): ann, as in the published protocol" in note for note in protocol.notes)


def test_pieces_of_one_recording_in_both_parts_are_refused_where_people_are_unknown() -> None:
    rows = {"path": ["a.mp4", "a.mp4"], "start": [0.0, 5.0], "end": [5.0, 9.0], "split": ["train", "test"]}
    with pytest.raises(UsageError, match=r"share 1 file\(s\): a.mp4"):
        Protocol.from_manifest(Manifest(pd.DataFrame(rows), "/corpus"))
    named = Manifest(pd.DataFrame({**rows, "subject": ["ann", "bob"]}), "/corpus")
    assert Protocol.from_manifest(named).notes == ("training and test share 1 file(s): a.mp4",)


def test_shared_validation_subjects_are_stated() -> None:
    table = manifest(split=["train", "val", "test"], subject=["ann", "ann", "bob"])
    assert Protocol.from_manifest(table).notes == ("training and validation share 1 subject(s): ann",)


def test_a_row_in_two_parts_is_refused() -> None:
    table = manifest(subject=list("abc"))
    protocol = Protocol(train=("r00", "r01"), test=("r01", "r02"))
    with pytest.raises(UsageError, match="training and test share 1 row"):
        protocol.check(table, published=True)
    same = Protocol(train=("r00",), validation=("r01", "r02"), test=("r01", "r02"))
    with pytest.raises(UsageError, match="validation and test share 2 row"):
        same.check(table)
    assert same.check(table, published=True) == (
        "validation and test share 2 row(s), for example 'r01', as in the published protocol",
    )


def test_cross_validation_needs_subjects() -> None:
    table = manifest(fold=["0", "1"])
    with pytest.raises(UsageError, match="needs the column 'subject'"):
        Protocol.from_manifest(table, ProtocolSettings(by="fold", fold=0))
    notes = Protocol.from_manifest(table, ProtocolSettings(by="fold", fold=0, published=True)).notes
    assert any("subjects are unknown" in note for note in notes)
    with pytest.raises(UsageError, match="no column 'subject'"):
        Protocol.from_manifest(table, ProtocolSettings(by="subject", fold=0))


@pytest.mark.parametrize(
    ("columns", "choice", "message"),
    [
        ({"subject": ["a", "b"]}, {}, "no column 'split'"),
        ({"split": ["train", "holdout"]}, {}, r"row 2 \(.*\) has split 'holdout'"),
        (
            {"subject": ["a", None, "b", "c", "d"]},
            {"by": "subject", "fold": 0, "folds": 2},
            r"row 2 \(.*\) has no subject",
        ),
        ({"subject": ["a", "b"]}, {"by": "subject", "fold": 0, "folds": 3}, r"2 subject\(s\) cannot make 3 folds"),
        ({"subject": list("abcde")}, {"by": "subject", "fold": 5}, "fold 5 does not exist; 5 folds are 0..4"),
    ],
)
def test_refusals(columns: dict[str, list[object]], choice: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Protocol.from_manifest(manifest(**columns), ProtocolSettings.model_validate(choice))


@pytest.mark.parametrize("choice", [{"by": "subject"}, {"fold": 1}, {"by": "fold", "fold": 1, "validation_fold": "1"}])
def test_settings_that_make_no_sense(choice: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="fold"):
        ProtocolSettings(**choice)  # type: ignore[arg-type]


def test_validation_share_takes_whole_subjects() -> None:
    subjects = [f"s{at // 4}" for at in range(40)]
    table = manifest(split=["train"] * 40, subject=subjects)
    protocol = Protocol.from_manifest(table, ProtocolSettings(validation=0.2))
    assert len(protocol.validation) == 8
    who = dict(zip(table.ids, subjects, strict=True))
    assert not {who[id_] for id_ in protocol.validation} & {who[id_] for id_ in protocol.train}


def test_file_round_trip_and_tampering(tmp_path: Path) -> None:
    table = manifest(split=["train", "test"], subject=["a", "b"])
    protocol = Protocol.from_manifest(table)
    path = tmp_path / "protocol.json"
    protocol.write(path)
    assert Protocol.read(path) == protocol
    path.write_text(path.read_text().replace("r00", "r07"))
    with pytest.raises(UsageError, match="do not fit the digest"):
        Protocol.read(path)
    path.write_text("{}")
    with pytest.raises(UsageError, match="not a protocol file"):
        Protocol.read(path)


def test_seeded_draws_are_the_same_everywhere() -> None:
    """The draw of a fold is part of published results: it must not change between versions."""
    from mien.data.seeding import generator

    assert generator(7, "order", 3).integers(1000, size=4).tolist() == PINNED
    assert generator(7, "order", 4).integers(1000, size=4).tolist() != PINNED
    assert np.array_equal(generator(0, "a", "1").random(3), generator(0, "a", "1").random(3))
    assert not np.array_equal(generator(0, "a", "1").random(3), generator(0, "a", 1).random(3))


PINNED = [68, 599, 432, 534]


def test_named_subjects_divide_a_corpus() -> None:
    rows = [{"path": f"{n}.mp4", "subject": n % 6 + 1} for n in range(24)]
    manifest = Manifest(pd.DataFrame(rows), Path())
    settings = ProtocolSettings(by="named", test=("02", "5"), validation_subjects=("03",))
    protocol = Protocol.from_manifest(manifest, settings)
    subject = manifest.column("subject")
    assert {str(subject[id_]) for id_ in protocol.test} == {"2", "5"}
    assert {str(subject[id_]) for id_ in protocol.validation} == {"3"}
    assert len(protocol.train) == 12
    with pytest.raises(UsageError, match="no subject '9'; it has 1, 2, 3, 4, 5, 6"):
        Protocol.from_manifest(manifest, ProtocolSettings(by="named", test=("9",)))
    with pytest.raises(UsageError, match="cannot both validate and test"):
        ProtocolSettings(by="named", test=("1",), validation_subjects=("1",))
    with pytest.raises(UsageError, match="needs test"):
        ProtocolSettings(by="named")
