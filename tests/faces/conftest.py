"""Shared by the tests of faces: their helpers are modules in this folder, and the detector is built once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mien.faces import MTCNN

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def mtcnn() -> MTCNN:
    return MTCNN()
