"""What the tests of every room share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mien.data.manifest import Manifest
from mien.data.synthetic import SyntheticSettings, synthesise

ROOT = Path(__file__).parent.parent

# the same examples each time, none remembered from the run before, and no limit that a busy machine would break;
# --hypothesis-profile=default searches anew
settings.register_profile("mien", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mien")

# librosa cannot be imported where numba finds no folder to keep compiled code in
if not os.access(os.path.expanduser("~"), os.W_OK):
    os.environ.setdefault("NUMBA_CACHE_DIR", os.path.join(tempfile.gettempdir(), f"numba-{os.getuid()}"))


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real recordings (``MIEN_SAMPLES``, or ``shared/samples`` beside the project); skips without it."""
    folder = Path(os.environ.get("MIEN_SAMPLES", ROOT.parent / "shared/samples"))
    if not folder.is_dir():
        pytest.skip(f"no sample recordings in {folder} (set MIEN_SAMPLES)")
    return folder


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A procedural corpus of 14 short videos of 7 people with all classes and splits; made once, in seconds."""
    settings = SyntheticSettings(clips=14, subjects=7, seconds=1.6, fps=10, size=96, validation=0.2)
    return synthesise(tmp_path_factory.mktemp("corpus") / "tiny", settings, workers=1)
