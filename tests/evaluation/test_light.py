"""Metrics and intervals are for everybody's arrays: they load no torch."""

from __future__ import annotations

import subprocess
import sys


def test_metrics_and_intervals_load_no_torch() -> None:
    program = (
        "import sys, mien.evaluation.intervals; from mien.evaluation import metric; metric('uar')([0], [[1.0, 0]]); "
    )
    done = subprocess.run(
        [sys.executable, "-c", program + "print('torch' in sys.modules, 'pandas' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "False"]
