"""What a caller in Python is told about settings that make no sense: one line, of mien's own family of errors."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from pydantic import ValidationError

import mien
from mien.models.specification import Inputs, TaskConfig, VideoInput


@pytest.mark.parametrize(
    ("kind", "values", "line"),
    [
        (mien.PredictSettings, {"stepp": 1}, "PredictSettings: stepp is not known; did you mean step?"),
        (mien.PredictSettings, {"batch": 0}, "PredictSettings: batch=0: input should be greater than or equal to 1"),
        (
            mien.PredictSettings,
            {"step": "fram"},
            "PredictSettings: step='fram': input should be a valid number, unable to parse string as a number or "
            "input should be 'frame'",
        ),
        (TaskConfig, {"outputs": ("calm",)}, "TaskConfig: kind is missing; give it"),
        (VideoInput, {}, "VideoInput: give exactly one of stride and fps"),
        (Inputs, {"video": {"stride": 0}}, "Inputs: video.stride=0: input should be greater than or equal to 1"),
    ],
)
def test_one_line_says_what_is_wrong(kind: Any, values: dict[str, Any], line: str) -> None:
    with pytest.raises(mien.UsageError) as caught:
        kind(**values)
    assert str(caught.value) == line
    assert caught.value.__suppress_context__  # no report of another library above it


def test_readers_of_files_get_the_place_of_a_mistake() -> None:
    with pytest.raises(ValidationError) as caught:
        Inputs.model_validate({"video": {"stride": 2, "size": 3}})
    assert caught.value.errors()[0]["loc"] == ("video", "size")


def test_records_stay_frozen_and_travel_to_other_processes() -> None:
    settings = mien.PredictSettings(step="frame", threads=2)
    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(ValidationError, match="frozen"):
        settings.step = 1.0  # type: ignore[misc]
