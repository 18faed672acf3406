"""Which rows are judged, and that trained people and clips are refused or stated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError
from mien.evaluation.parts import TrainingRecord, choose
from mien.models.specification import Exposure


def record(folder: Path) -> TrainingRecord:
    found = TrainingRecord.read(folder)
    assert found is not None
    return found


def with_column(manifest: Manifest, folder: Path, **columns: object) -> Manifest:
    """A copy of the table elsewhere that names the same files."""
    frame = manifest.frame.assign(**columns)
    for column in ("path", "labels"):
        frame[column] = [str(manifest.root / value) for value in frame[column]]
    return Manifest(frame, folder, "copy.csv")


def test_a_bundle_is_judged_by_the_column_split(corpus: Manifest) -> None:
    part = choose(corpus)
    assert part.ids == ("clip08", "clip09", "clip10", "clip11")
    assert part.digest == Protocol.from_manifest(corpus).digest
    assert part.notes == ()
    assert choose(corpus, "all").ids == tuple(sorted(corpus.ids))


def test_a_run_is_judged_by_its_own_protocol(corpus: Manifest, run: Callable[..., Path]) -> None:
    folds = Protocol.from_manifest(corpus, ProtocolSettings(by="subject", folds=3, fold=1))
    found = record(run(folds))
    part = choose(corpus, record=found)
    assert part.ids == folds.test != choose(corpus).ids
    assert part.digest == folds.digest
    assert found.weights == "best by uar on validation"
    assert record(found.folder / "bundle").protocol == folds


def test_a_protocol_file_overrules(corpus: Manifest, run: Callable[..., Path]) -> None:
    other = Protocol(test=("clip09",))
    assert choose(corpus, record=record(run()), protocol=other).ids == ("clip09",)


def test_no_split_is_said_with_a_remedy(corpus: Manifest) -> None:
    bare = Manifest(corpus.frame.drop(columns="split"), corpus.root, "bare.csv")
    with pytest.raises(UsageError, match=r"bare.csv: no column 'split'.*--split all"):
        choose(bare)
    assert len(choose(bare, "all").ids) == 12


def test_an_empty_part_is_refused(corpus: Manifest) -> None:
    with pytest.raises(UsageError, match="the validation part has no clips"):
        choose(corpus, "validation", protocol=Protocol(test=("clip08",)))


def test_train_subjects_in_test_are_refused(corpus: Manifest) -> None:
    frame = corpus.frame.assign(subject=["s0"] * 12)
    leaking = Manifest(frame, corpus.root, "leaking.csv")
    with pytest.raises(UsageError, match=r"training and test share 1 subject\(s\): s0"):
        choose(leaking)
    assert any("share 1 subject(s): s0" in note for note in choose(leaking, published=True).notes)


def test_trained_clips_are_refused_under_any_name(corpus: Manifest, run: Callable[..., Path], tmp_path: Path) -> None:
    found = record(run())
    with pytest.raises(UsageError, match="4 of the judged clips trained these weights, such as"):
        choose(corpus, "all", found)
    renamed = with_column(corpus, tmp_path, id=[f"other{number}" for number in range(12)])
    with pytest.raises(UsageError, match="4 of the judged clips trained these weights"):
        choose(renamed, "all", found)
    assert any("4 of the judged clips" in note for note in choose(corpus, "all", found, published=True).notes)


def test_trained_people_in_another_table_are_refused(
    corpus: Manifest, run: Callable[..., Path], tmp_path: Path
) -> None:
    """The table to judge holds test rows alone, and gives one of them the name of somebody who trained."""
    found = record(run())
    rows = with_column(corpus, tmp_path).frame.iloc[8:].assign(subject=["s0", "s4", "s5", "s5"])
    with pytest.raises(UsageError, match=r"training and test share 1 subject\(s\): s0"):
        choose(Manifest(rows, tmp_path, "rows.csv"), record=found)
    rows = rows.assign(subject=["s4", "s4", "s5", "s5"])
    assert choose(Manifest(rows, tmp_path, "rows.csv"), record=found).notes == ()


def test_names_of_another_corpus_are_not_compared(corpus: Manifest, run: Callable[..., Path], tmp_path: Path) -> None:
    found = record(run())
    frame = corpus.frame.drop(columns="id")
    elsewhere = Manifest(frame, tmp_path / "elsewhere", "elsewhere.csv")
    (note,) = choose(elsewhere, "all", found).notes
    assert note.startswith("another corpus than the one trained on")


def test_without_the_training_table_ids_are_compared(
    corpus: Manifest, run: Callable[..., Path], tmp_path: Path
) -> None:
    found = record(run(manifest=tmp_path / "gone.csv"))
    assert found.manifest is None
    assert choose(corpus, record=found).notes == ()
    mixed = Manifest(corpus.frame.iloc[[0, 9]], corpus.root, "mixed.csv")
    with pytest.raises(UsageError, match="1 of the judged clips trained these weights, such as clip00"):
        choose(mixed, "all", found)
    later = Manifest(corpus.frame.iloc[8:], corpus.root, "later.csv")
    assert "not there any more" in choose(later, record=found).notes[0]


def test_training_and_validation_parts_carry_a_note(corpus: Manifest, run: Callable[..., Path]) -> None:
    found = record(run())
    assert "nothing about unseen people" in choose(corpus, "train", found).notes[0]
    (note,) = choose(corpus, "validation", found).notes
    assert "may have been chosen on them" in note


def test_a_changed_table_is_noticed(corpus: Manifest, run: Callable[..., Path]) -> None:
    shorter = Manifest(corpus.frame.iloc[:10], corpus.root, "shorter.csv")
    with pytest.raises(UsageError, match=r"no row has id 'clip10'"):
        choose(shorter, record=record(run()))


def test_the_ledger_speaks_of_earlier_training(corpus: Manifest) -> None:
    everything = Protocol(train=tuple(corpus.ids)).digest
    ledger = (
        Exposure(corpus="wild", stage="pretraining", protocol=everything),
        Exposure(corpus=corpus.root.name, stage="fine-tuning", protocol="0" * 64),
        Exposure(corpus="elsewhere", stage="fine-tuning", protocol="1" * 64),
    )
    first, second = choose(corpus, ledger=ledger).notes
    assert first == "pretraining has seen every clip of this manifest, the judged ones among them"
    assert f"fine-tuning has seen clips of {corpus.root.name} under another division" in second


def test_records_need_a_run(classifier: Path) -> None:
    assert TrainingRecord.read(classifier) is None
    assert TrainingRecord.read("owner/name") is None


def test_manifest_subjects_may_be_partly_unknown(corpus: Manifest, run: Callable[..., Path]) -> None:
    frame = corpus.frame.copy()
    frame.loc[8, "subject"] = pd.NA
    assert choose(Manifest(frame, corpus.root, "partly.csv"), record=record(run())).ids[0] == "clip08"
