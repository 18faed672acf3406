"""Frames as they come: the rows of a recording, in pieces, soon, and without growing memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mien.checkpoints.bundle import Bundle
from mien.errors import UsageError
from mien.faces import CropRecipe, TrackedFace, TrackedFrame
from mien.inference import PredictSettings, Timeline, join_timelines, live, predict, predict_frames
from mien.inference.timeline import NOBODY
from mien.media import Sound, VideoReader, read_sound

from .conftest import LEFT, RIGHT

MakeBundle = Callable[..., Bundle]
MakeFilm = Callable[..., Path]
TIGHT = CropRecipe(size=16, margin=0.0, smoothing=0.0)
RAMP = np.linspace(0.1, 0.9, 100)


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch, planted: Callable[..., None]) -> Callable[[dict[int, range]], None]:
    """Faces by plan in recordings and in streams."""

    def plant(plan: dict[int, range]) -> None:
        planted(plan)

        def find(frames: Any, settings: object, whole: bool, clock: object) -> Iterator[TrackedFrame]:
            for frame in frames:
                there = [
                    TrackedFace(track, (LEFT, RIGHT)[track % 2], 0.9, None, "detected")
                    for track, indices in plan.items()
                    if frame.index in indices
                ]
                yield TrackedFrame(frame.index, frame.time, frame.image, tuple(there))

        monkeypatch.setattr(live, "find", find)

    return plant


def shown(path: Path) -> list[tuple[float, np.ndarray]]:
    with VideoReader(path) as video:
        return [(frame.time, frame.image) for frame in video.frames()]


def joined(pieces: Iterator[Timeline]) -> pd.DataFrame:
    found = join_timelines(list(pieces)).frame
    return found.set_index(found.index.set_levels(["talk"], level="file"))


def expected(timeline: Timeline) -> pd.DataFrame:
    return timeline.frame.set_index(timeline.frame.index.set_levels(["talk"], level="file"))


@pytest.mark.parametrize("level", ["clip", "frame"])
def test_pieces_together_are_the_timeline(level: str, meter: MakeBundle, film: MakeFilm, faces: Any) -> None:
    faces({0: range(10, 100), 1: range(40, 75)})
    path, bundle = film(RAMP, 1 - RAMP), meter(level=level, crop=TIGHT)
    found = joined(predict_frames(shown(path), bundle, fps=25))
    pd.testing.assert_frame_equal(found, expected(predict(path, bundle)))
    assert (found.loc[("talk", NOBODY), "abstain"] == "no face").all()


def test_sound_comes_with_the_frames(meter: MakeBundle, film: MakeFilm) -> None:
    path, bundle = film(RAMP, RAMP, loudness=[0.1, 0.4, 0.2, 0.3]), meter(sound=True)
    whole = read_sound(path, 8000)
    assert whole is not None

    def heard() -> Iterator[tuple[float, np.ndarray, Sound]]:
        """Each frame with 40 ms of sound, which comes in 0.2 s ahead of it."""
        for number, (time, image) in enumerate(shown(path)):
            first = (number + 5) * 320 if number else 0
            part = whole.samples[first : (number + 6) * 320]
            yield time, image, Sound(part, 8000, whole.start + first / 8000)

    found = joined(predict_frames(heard(), bundle, fps=25))
    pd.testing.assert_frame_equal(found, expected(predict(path, bundle)))
    strange = Sound(np.zeros(9, np.float32), 44100, 0.0)
    with pytest.raises(UsageError, match="sound of 44100 Hz: this model hears 8000 Hz"):
        list(predict_frames([(0.0, np.zeros((8, 8, 3), np.uint8), strange)], bundle, 25))


def test_rows_come_soon_and_nothing_piles_up(meter: MakeBundle, faces: Any) -> None:
    faces({0: range(5, 100_000)})
    fed = [0.0]
    image = np.full((240, 320, 3), 90, np.uint8)

    def camera() -> Iterator[tuple[float, np.ndarray]]:
        for number in range(600):
            fed[0] = 1000.0 + number / 25
            yield fed[0], image

    run = live._Live(meter(crop=TIGHT), PredictSettings(batch=1, threads=1), 25, "cam")
    late, until = [], 0.0
    for piece in run.pieces(camera()):
        assert piece.files["cam"].width == 320
        start = piece.frame.index.get_level_values("start")
        assert start[0] == pytest.approx(until if until else 1000.0, abs=1e-6)  # no gap, nothing twice
        until = float(piece.frame.index.get_level_values("end")[-1])
        late.append(fed[0] - until)
        (person,) = run._recording.persons.values() or [None]
        assert person is None or len(person.light) + len(person.trail.so_far()) < 60
    assert until == pytest.approx(1024.0)
    # a window is 16 frames of 25 a second here; two windows may be under way
    assert max(late[:-1]) < 0.64 + 0.2 + 3 * 0.32


def test_times_may_waver_and_frames_may_be_missing(meter: MakeBundle, faces: Any) -> None:
    faces({0: range(200)})
    times = np.arange(100) / 25 + np.random.default_rng(0).uniform(-0.01, 0.01, 100)
    kept = [number for number in range(100) if number not in (30, 31, 50)]
    images = {number: np.full((240, 320, 3), number, np.uint8) for number in kept}
    found = joined(predict_frames([(times[number], images[number]) for number in kept], meter(crop=TIGHT), 25))
    assert (found["face"] == 1).all()  # short gaps show the frame before
    early = [(0.0, images[0]), (0.001, images[1]), (0.04, images[2])]
    assert len(joined(predict_frames(early, meter(crop=TIGHT), 25, PredictSettings(step="frame")))) == 2


@pytest.mark.parametrize(
    ("frames", "line"),
    [
        ([np.zeros((8, 8, 3), np.uint8)], r"frames are tuples \(time, image\)"),
        ([(0.0, np.zeros((8, 8), np.uint8))], r"is uint8 \(8, 8\); give uint8 \(H, W, 3\) in RGB"),
        ([(0.0, np.zeros((8, 8, 3)))], "is float64"),
        ([(0.0, np.zeros((8, 8, 3), np.uint8)), (0.04, np.zeros((9, 8, 3), np.uint8))], "give one size"),
        ([(9.0, np.zeros((8, 8, 3), np.uint8)), (1.0, np.zeros((8, 8, 3), np.uint8))], "times ascend"),
        ([(0.0, np.zeros((8, 8, 3), np.uint8)), (1e6, np.zeros((8, 8, 3), np.uint8))], "longer than 12 hours"),
    ],
)
def test_what_is_no_stream_is_refused(meter: MakeBundle, frames: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        list(predict_frames(frames, meter(), 25))


def test_refusals_before_the_first_frame(meter: MakeBundle) -> None:
    with pytest.raises(UsageError, match="fps=0: give frames per second above 0"):
        predict_frames([], meter(), 0)
    with pytest.raises(UsageError, match="model is a int"):
        predict_frames([], 3, 25)  # type: ignore[arg-type]
    assert list(predict_frames([], meter(), 25)) == []
