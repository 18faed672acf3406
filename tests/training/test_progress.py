"""Means and rates of the progress line."""

from __future__ import annotations

import pytest

from mien.training import progress
from mien.training.progress import Meter, describe


def test_means_are_weighted_by_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 104.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    meter = Meter(begun=progress.time.perf_counter())
    meter.add(loss=1.0, clips=4, waited=0.5, extra={"teacher": 2.0})
    meter.add(loss=4.0, clips=2, waited=0.5, extra={"teacher": 5.0})
    values = meter.read()
    assert values == {"loss": 2.0, "teacher": 3.0, "clips_per_second": 1.5, "waiting": 0.25}
    assert describe(values) == "loss 2, 1.5 clips/s, data wait 25%"
