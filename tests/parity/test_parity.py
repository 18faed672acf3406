"""Agreement with published implementations: every case in ``MIEN_PARITY`` (default: our copy of the numbers)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.parity.collect import FOLDER, Case, cases

SYSTEMS = Path(__file__).parent / "systems"
CASES = list(cases())


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


def test_there_are_cases() -> None:
    assert CASES, f"{FOLDER} holds no parity numbers"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees(case: Case) -> None:
    runner(case.system)(case)
