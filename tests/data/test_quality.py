"""Quality of clips: against OpenCV and hand-worked numbers, and choosing by it."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.quality import SILENCE, light, loudness, sharpness
from mien.data.settings import ProtocolSettings
from mien.errors import UsageError


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    grey = crop @ np.array([0.299, 0.587, 0.114])
    expected = cv2.Laplacian(grey, cv2.CV_64F)[1:-1, 1:-1].var()
    assert sharpness(crop) == pytest.approx(expected, rel=1e-4)
    assert sharpness(cv2.GaussianBlur(crop, (5, 5), 2)) < 0.1 * sharpness(crop)
    assert sharpness(np.full((9, 9, 3), 80, np.uint8)) == pytest.approx(0.0, abs=1e-6)


def test_light_runs_from_black_to_white() -> None:
    values = [light(np.full((4, 4, 3), level, np.uint8)) for level in (0, 51, 255)]
    assert values == pytest.approx([0.0, 0.2, 1.0], abs=1e-5)


def test_loudness_of_a_sine_of_full_scale_is_minus_three_decibels() -> None:
    sine = np.sin(np.arange(1600) * 2 * np.pi / 160)
    assert loudness(float((sine**2).sum()), 1600) == pytest.approx(-3.0103, abs=1e-3)
    assert loudness(float((sine**2).sum()) / 100, 1600) == pytest.approx(-23.0103, abs=1e-3)
    assert loudness(0.0, 10) == loudness(0.0, 0) == SILENCE


def table(values: list[object]) -> Manifest:
    count = len(values)
    frame = {"path": [f"{n}.mp4" for n in range(count)], "subject": [f"s{n}" for n in range(count)]}
    frame |= {
        "split": ["train"] * (count - 2) + ["test"] * 2,
        "sharpness": values,
        "id": [f"c{n}" for n in range(count)],
    }
    return Manifest(pd.DataFrame(frame), ".")


def test_bounds_choose_training_clips_and_leave_the_test_whole() -> None:
    manifest = table([5.0, 20.0, None, 60.0, 1.0, None])
    settings = ProtocolSettings(lowest={"sharpness": 20}, highest={"sharpness": 50})
    protocol = Protocol.from_manifest(manifest, settings)
    assert protocol.train == ("c1",)
    assert protocol.test == ("c4", "c5")
    assert "1 of 4 training rows have sharpness >= 20 and sharpness <= 50" in protocol.notes
    whole = Protocol.from_manifest(manifest)
    assert whole.train == ("c0", "c1", "c2", "c3")
    assert whole.digest != protocol.digest


@pytest.mark.parametrize(
    ("values", "bound", "message"),
    [
        ([1.0, 2.0, 3.0, 4.0], {"sharpness": 9}, r"no training clip is within lowest=\{'sharpness': 9.0\}"),
        (["good", "bad", "good", "good"], {"sharpness": 9}, "holds 'good', which is no number"),
        ([1.0, 2.0, 3.0, 4.0], {"smile": 9}, "no column 'smile'"),
    ],
)
def test_bounds_that_make_no_sense(values: list[object], bound: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Protocol.from_manifest(table(values), ProtocolSettings(lowest=bound))
