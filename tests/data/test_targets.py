"""Targets: names and indices of classes, numbers, and refusals that name row, value and rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mien.data.manifest import Manifest
from mien.data.targets import TargetSpec, clip_targets
from mien.errors import UsageError

CLASSES = ("neutral", "happy", "sad")


def manifest(**columns: list[object]) -> Manifest:
    count = len(next(iter(columns.values())))
    ids = [f"r{at}" for at in range(count)]
    return Manifest(pd.DataFrame({"id": ids, "path": [f"{at}.mp4" for at in range(count)], **columns}), "/corpus")


def test_names_and_whole_numbers_become_indices() -> None:
    spec = TargetSpec(("label",), CLASSES)
    table = manifest(label=["sad", "neutral", "happy"])
    values = clip_targets(table, ["r2", "r0"], spec)
    assert values.dtype == np.int64
    assert values.tolist() == [1, 2]
    assert clip_targets(manifest(label=[2, 0, 1.0]), ["r0", "r1", "r2"], spec).tolist() == [2, 0, 1]


def test_classes_called_by_numbers_are_names() -> None:
    spec = TargetSpec(("label",), ("1", "2", "3"))
    assert clip_targets(manifest(label=[3, 1]), ["r0", "r1"], spec).tolist() == [2, 0]
    with pytest.raises(UsageError, match="label = 0, which is not one of the classes 1, 2, 3;"):
        clip_targets(manifest(label=[0]), ["r0"], spec)


def test_numbers() -> None:
    values = clip_targets(
        manifest(valence=[0.5, -1], arousal=["0.25", "1"]), ["r1", "r0"], TargetSpec(("valence", "arousal"))
    )
    assert values.dtype == np.float32
    assert values.tolist() == [[-1, 1], [0.5, 0.25]]


@pytest.mark.parametrize(
    ("columns", "spec", "message"),
    [
        (
            {"label": ["sad", "hapy"]},
            TargetSpec(("label",), CLASSES),
            r"row 2 \(.*\) has label = 'hapy', .* neutral, happy, sad",
        ),
        ({"label": [0, 3]}, TargetSpec(("label",), CLASSES), r"row 2 \(.*\) has label = 3, .*\(or 0\.\.2\)"),
        ({"label": [0, 1.5]}, TargetSpec(("label",), CLASSES), r"row 2 \(.*\) has label = 1.5"),
        ({"label": ["sad", None]}, TargetSpec(("label",), CLASSES), r"row 2 \(.*\) has no label .NaN or empty"),
        ({"valence": [0.1, float("nan")]}, TargetSpec(("valence",)), r"row 2 \(.*\) has no valence"),
        (
            {"valence": ["0.1", "high"]},
            TargetSpec(("valence",)),
            r"row 2 \(.*\) has valence = 'high', which is not a number",
        ),
        ({"valence": [0.1, 0.2]}, TargetSpec(("arousal",)), "no column 'arousal'; columns .* are valence"),
    ],
)
def test_refusals(columns: dict[str, list[object]], spec: TargetSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        clip_targets(manifest(**columns), ["r0", "r1"], spec)
    assert "\n" not in str(caught.value)


def test_rows_that_are_not_asked_for_are_not_judged() -> None:
    assert clip_targets(manifest(label=["sad", None]), ["r0"], TargetSpec(("label",), CLASSES)).tolist() == [2]
