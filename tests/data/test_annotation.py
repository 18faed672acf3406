"""Annotation over time, resampled to frames: against NumPy's interpolation and hand-worked gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.annotation import frame_targets, read_annotation
from mien.data.targets import TargetSpec
from mien.errors import MienError, UsageError

NAN = float("nan")


def write(folder: Path, name: str = "labels.csv", **columns: object) -> Path:
    path = folder / name
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_interpolates_between_annotations(tmp_path: Path) -> None:
    time = np.arange(0, 10, 0.4)
    valence, arousal = np.sin(time), np.cos(time)
    path = write(tmp_path, time=time, valence=valence, arousal=arousal)
    frames = np.arange(0, 9.6, 1 / 29.97)
    values = frame_targets(path, TargetSpec(("arousal", "valence"), level="frame"), frames)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[:, 0], np.interp(frames, time, arousal), atol=1e-6)
    np.testing.assert_allclose(values[:, 1], np.interp(frames, time, valence), atol=1e-6)


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, time=[0.2, 0.0, 0.1], valence=[2.0, 0.0, 1.0])
    assert list(read_annotation(path, ["valence"])["valence"]) == [0.0, 1.0, 2.0]


def test_gaps_ends_and_empty_values_are_unlabelled(tmp_path: Path) -> None:
    path = write(tmp_path, time=[1.0, 1.1, 1.2, 3.0, 3.1, 3.2], valence=[0.0, 0.1, NAN, 0.3, 0.4, 0.5])
    spec = TargetSpec(("valence",), level="frame")
    times = np.array([0.5, 0.95, 1.05, 1.1, 1.15, 2.0, 3.0, 3.05, 3.25, 3.4])
    expected = [NAN, 0.0, 0.05, 0.1, NAN, NAN, 0.3, 0.35, 0.5, NAN]
    np.testing.assert_allclose(frame_targets(path, spec, times)[:, 0], expected, atol=1e-6)


def test_sparse_annotation_bridges_its_own_step(tmp_path: Path) -> None:
    path = write(tmp_path, time=[0.0, 5.0, 10.0], valence=[0.0, 1.0, 0.0])
    values = frame_targets(path, TargetSpec(("valence",), level="frame"), np.array([2.5, 7.5]))
    np.testing.assert_allclose(values[:, 0], [0.5, 0.5])


def test_classes_are_those_of_the_nearest_annotation(tmp_path: Path) -> None:
    path = write(tmp_path, time=[0.0, 1.0, 2.0], expression=["sad", "happy", None])
    spec = TargetSpec(("expression",), ("happy", "sad"), level="frame")
    values = frame_targets(path, spec, np.array([0.0, 0.4, 0.6, 1.4, 1.6, 9.0]))
    assert values.tolist() == [1, 1, 0, 0, -100, -100]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"t": [0.0], "valence": [0.0]}, "no column 'time'"),
        ({"time": [0.0], "arousal": [0.0]}, "no column 'valence'.*time, arousal"),
        ({"time": [0.0, 0.0], "valence": [0.0, 0.1]}, "time 0 occurs twice"),
        ({"time": ["soon", "0"], "valence": [0.0, 0.1]}, "time 'soon' is not a number"),
        ({"time": [0.0, 1.0], "valence": ["high", "0"]}, "valence = 'high' is not a number"),
    ],
)
def test_refusals(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    path = write(tmp_path, **columns)
    with pytest.raises(UsageError, match=message):
        frame_targets(path, TargetSpec(("valence",), level="frame"), np.array([0.0]))


def test_annotation_beside_the_clip_is_an_error(tmp_path: Path) -> None:
    """Times in milliseconds or frame numbers must not pass as 'nothing labelled'."""
    path = write(tmp_path, time=[5000.0, 5040.0], valence=[0.0, 0.1])
    with pytest.raises(MienError, match=r"nothing is annotated between 0\.00 and 4\.00 s"):
        frame_targets(path, TargetSpec(("valence",), level="frame"), np.linspace(0, 4, 100))


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.floats(0.02, 0.9))
def test_values_at_annotated_times_are_exact(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], step: float
) -> None:
    time = np.arange(len(values)) * step
    path = write(tmp_path_factory.mktemp("a"), time=time, valence=values)
    read = frame_targets(path, TargetSpec(("valence",), level="frame"), time)
    np.testing.assert_allclose(read[:, 0], np.asarray(values, dtype=np.float32), atol=1e-6)
