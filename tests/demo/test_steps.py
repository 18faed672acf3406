"""The demo goes the whole way on a corpus of a few clips."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mien.data.synthetic import SyntheticSettings
from mien.demo.report import figures, summary, write_page
from mien.demo.steps import Outcome, run_demo
from mien.errors import UsageError
from mien.media import probe

FEW = SyntheticSettings(clips=28, subjects=14, test=0.25, validation=0.2, folds=2)
SHORT = ("schedule.epochs=2", "schedule.warmup_epochs=1", "intervals.validate_epochs=2", "data.batch=8")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run_demo(tmp_path_factory.mktemp("demo"), overrides=SHORT, settings=FEW, seconds=5.0)


@pytest.mark.slow
def test_every_step_leaves_what_the_summary_names(outcome: Outcome) -> None:
    page = write_page(outcome)
    text = summary(outcome, page)
    for path in (page, outcome.table, outcome.curves, outcome.overlay, outcome.bundle / "model.safetensors"):
        assert path.is_file()
        assert str(path if path.parent != outcome.bundle else outcome.bundle) in text
    assert "trained from scratch" in text
    told = figures(outcome, page)
    assert told["files"]["bundle"] == str(outcome.bundle)
    assert outcome.scratch
    assert told["figures"]["trained from scratch"]["uar"] == outcome.scratch["uar"].value
    assert "linear probe, one still frame" in page.read_text()


@pytest.mark.slow
def test_it_judges_people_who_did_not_train(outcome: Outcome) -> None:
    table = pd.read_csv(outcome.folder / "clips" / "manifest.csv").set_index("id")
    assert outcome.pretrained is not None
    judged = set(table.loc[list(outcome.pretrained.predictions.ids), "subject"])
    assert judged
    assert not judged & set(table.loc[table["split"] != "test", "subject"])


@pytest.mark.slow
def test_both_people_of_the_new_video_are_read(outcome: Outcome) -> None:
    assert outcome.timeline is not None
    assert len(outcome.timeline.frame.index.unique("track").dropna()) == 2
    assert probe(outcome.overlay).sound is not None


@pytest.mark.slow
def test_a_finished_demo_does_nothing_again(outcome: Outcome) -> None:
    weights = outcome.bundle / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = run_demo(outcome.folder, overrides=SHORT, settings=FEW, seconds=5.0)
    assert weights.stat().st_mtime_ns == before
    assert again.pretrained is not None
    assert outcome.pretrained is not None
    assert again.pretrained["uar"].value == outcome.pretrained["uar"].value


def test_a_wrong_override_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="key=value"):
        run_demo(tmp_path / "demo", overrides=("demo",))
    assert not (tmp_path / "demo").exists()
