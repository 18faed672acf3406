"""Agreement with published implementations: every case in ``MIEN_PARITY`` (default: our copy of the numbers)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.parity.collect import FOLDER, Case, Noted, cases

SYSTEMS = Path(__file__).parent / "systems"
CASES = list(cases())
LARGE = 20_000_000  # parameters


def runner(system: str) -> Callable[[Case], None]:
    """``run`` of ``systems/<system>.py``."""
    path = SYSTEMS / f"{system}.py"
    if not path.is_file():
        pytest.fail(f"no case builder for system {system!r}: tests/parity/systems/{system}.py is missing")
    spec = importlib.util.spec_from_file_location(f"parity_{system}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run


def run_whole(case: Case) -> None:
    """Run a case, and fail where it says something that nobody looked at."""
    data = Noted(case.data)
    runner(case.system)(replace(case, data=data))
    assert not data.ignored(), f"no way to look at {', '.join(sorted(data.ignored()))} of {case}"


def test_there_are_cases() -> None:
    assert CASES, f"{FOLDER} holds no parity numbers"


def marked(case: Case) -> ParameterSet:
    """Cases of large models are slow, and those of several steps of training."""
    slow = case.data.get("n_params", 0) > LARGE or case.name.startswith("train_steps")
    return pytest.param(case, marks=[pytest.mark.slow] if slow else [], id=str(case))


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_agrees(case: Case) -> None:
    run_whole(case)
