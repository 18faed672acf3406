"""Long clips in parts: the parts answer for every frame once, and together see what the whole clip saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.sampling import PART, WHOLE, CoveringWindows, covering_windows
from mien.models.specification import VideoInput

GREY = VideoInput(frames=32, fps=25.0, channels="grey", mean=(0.5,), std=(0.5,))
RNG = np.random.default_rng(0)


@settings(max_examples=30)
@given(st.integers(1, 2500), st.integers(2, 700))
def test_parts_answer_for_every_frame_exactly_once(frames: int, length: int) -> None:
    video = GREY.model_copy(update={"frames": length})
    times = np.arange(frames) / 25.0
    covering = CoveringWindows()
    answered: dict[int, set[int]] = {}
    windows: dict[int, dict[int, int]] = {}
    for part in range(covering.parts(times, video)):
        seen = set()
        for view in replace(covering, part=part).views(times, 1.0, video, RNG):
            assert view.answers is not None
            own = view.indices[view.answers[0] : min(view.answers[1], view.valid)]
            seen |= set(own.tolist())
            for frame in own.tolist():
                windows.setdefault(frame, {}).setdefault(int(view.indices[0]), 0)
        answered[part] = seen
    assert sum(len(seen) for seen in answered.values()) == frames
    assert set().union(*answered.values()) == set(range(frames))
    for view in covering_windows(times, video, 0.5):
        for frame in view.indices[: view.valid].tolist():
            assert int(view.indices[0]) in windows[frame]


@pytest.mark.parametrize("length", [32, None])
def test_what_is_read_at_once_does_not_grow_with_the_clip(length: int | None) -> None:
    video = GREY.model_copy(update={"frames": length})
    times = np.arange(90000) / 25.0
    covering = CoveringWindows()
    assert covering.parts(times, video) == -(-90000 // (PART if length else WHOLE))
    for part in (0, 3, covering.parts(times, video) - 1):
        views = replace(covering, part=part).views(times, 1.0, video, RNG)
        read = np.unique(np.concatenate([view.indices for view in views]))
        assert len(read) <= (PART if length else WHOLE) + 2 * (length or WHOLE)
