"""What the tests of every room share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real recordings (``MIEN_SAMPLES``, or ``shared/samples`` beside the project); skips without it."""
    folder = Path(os.environ.get("MIEN_SAMPLES", ROOT.parent / "shared/samples"))
    if not folder.is_dir():
        pytest.skip(f"no sample recordings in {folder} (set MIEN_SAMPLES)")
    return folder
