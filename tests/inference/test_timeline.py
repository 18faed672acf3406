from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mien.errors import MienError, UsageError
from mien.inference.timeline import INDEX, NOBODY, FileInfo, Rows, Timeline, join_timelines, make_timeline

MakeRows = Callable[..., Rows]


def test_columns_stand_in_the_documented_order(classified: Timeline) -> None:
    assert tuple(classified.frame.index.names) == INDEX
    assert tuple(classified.frame.columns) == (
        *classified.outputs,
        "prediction",
        "confidence",
        "face",
        "used",
        "abstain",
    )


def test_rows_are_sorted_by_the_index(classified: Timeline) -> None:
    assert classified.frame.index.is_monotonic_increasing
    assert len(classified.frame.loc[("talk.mp4", 1)]) == 25  # pandas finds a face's rows without a warning


def test_prediction_is_the_most_probable_class_and_missing_where_nothing_was_seen(classified: Timeline) -> None:
    probabilities = classified.frame[list(classified.outputs)]
    seen = probabilities.notna().all(axis=1)
    assert 0 < seen.sum() < len(seen)
    assert (classified.frame["prediction"][seen] == probabilities[seen].idxmax(axis=1)).all()
    assert (classified.frame["confidence"][seen] == probabilities[seen].max(axis=1)).all()
    assert classified.frame.loc[~seen, ["prediction", "confidence"]].isna().all().all()


def test_there_is_a_row_at_every_moment(classified: Timeline) -> None:
    starts = np.unique(classified.frame.index.get_level_values("start"))
    np.testing.assert_allclose(starts, np.arange(60) * 0.2, atol=1e-9)


def test_only_and_join_are_inverse(classified: Timeline, make_rows: MakeRows) -> None:
    other = make_timeline(
        {"b.mp4": [make_rows(0, 0, 5, 7, 9)]}, "classification", classified.outputs, {"b.mp4": FileInfo("b.mp4", 1.0)}
    )
    both = join_timelines([classified, other])
    assert list(both.files) == ["talk.mp4", "b.mp4"]
    pd.testing.assert_frame_equal(both.only("talk.mp4").frame, classified.frame)
    with pytest.raises(UsageError, match="holds 2 files"):
        both.only()
    with pytest.raises(UsageError, match="not part"):
        both.only("c.mp4")


def test_an_output_with_the_name_of_a_column_is_refused(make_rows: MakeRows) -> None:
    rows = make_rows(0, 0, 5, 2, 1)
    with pytest.raises(MienError, match="'face' is a column of every timeline"):
        make_timeline({"a": [rows]}, "classification", ("face", "x"), {"a": FileInfo("a", 1.0)})


def test_a_file_without_rows_is_no_obstacle() -> None:
    empty = make_timeline({"a": []}, "classification", ("x", "y"), {"a": FileInfo("a", 0.0)})
    assert len(empty) == 0
    assert empty.frame.index.names == list(INDEX)


def test_repr_counts_faces_not_nobody(classified: Timeline) -> None:
    assert NOBODY in classified.frame.index.unique("track")
    assert "2 face(s)" in repr(classified)
