"""CSV logs: columns that appear later, and steps that a resumed run takes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.training.logs import Log


def lines(folder: Path, kind: str = "train") -> list[str]:
    return (folder / f"{kind}.csv").read_text().splitlines()


def test_columns_may_appear_later(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("train", 1, {"loss": 0.5})
    log.write("train", 2, {"loss": 0.25, "teacher": 3.0})
    log.write("train", 3, {"teacher": 4.0})
    log.close()
    assert lines(tmp_path) == ["step,loss,teacher", "1,0.5,", "2,0.25,3.0", "3,,4.0"]


def test_a_resumed_run_forgets_what_came_after(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for step in (10, 20, 30):
        log.write("train", step, {"loss": 1.0 / step})
    log.write("validation", 15, {"uar": 0.5})
    log.close()
    with (tmp_path / "train.csv").open("a") as file:
        file.write("4")  # a kill in the middle of a row
    log = Log(tmp_path, resumed_at=20)
    log.write("train", 30, {"loss": 7.0})
    log.close()
    assert lines(tmp_path) == ["step,loss", "10,0.1", "20,0.05", "30,7.0"]
    assert lines(tmp_path, "validation") == ["step,uar", "15,0.5"]


def test_tensorboard_where_it_is_installed(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = Log(tmp_path)
    log.write("train", 5, {"loss": 0.5})
    log.close()
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    (scalar,) = events.Scalars("train/loss")
    assert (scalar.step, scalar.value) == (5, 0.5)
