from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ImageFont

from mien.checkpoints.bundle import Bundle
from mien.errors import MienError, UsageError
from mien.faces import CropRecipe
from mien.inference import Timeline, predict
from mien.inference.colours import face_colour
from mien.inference.gauge import Gauge
from mien.inference.overlay import Painter
from mien.inference.playback import Playback
from mien.inference.timeline import TRACK_COLUMNS, FileInfo
from mien.media import VideoReader, read_sound

FLAT = np.full(50, 0.5)
MakeFilm = Callable[..., Path]


def with_boxes(timeline: Timeline, rows: list[tuple[float, ...]]) -> Timeline:
    """The timeline of one file with other boxes: (track, time, x0, y0, x1, y1, score)."""
    (info,) = timeline.files.values()
    tracks = pd.DataFrame([(info.path, *row) for row in rows], columns=list(TRACK_COLUMNS))
    files = {info.path: FileInfo(info.path, info.duration, 640, 360, 25.0, False)}
    return Timeline(timeline.frame, timeline.kind, timeline.outputs, files, tracks, timeline.model, timeline.step)


def test_boxes_move_in_straight_lines_and_end_at_gaps(classified: Timeline) -> None:
    nan = float("nan")
    rows = [
        (0, 1.0, 0.0, 0, 10, 10, 1.0),
        (0, 2.0, 10.0, 0, 20, 10, 1.0),
        (0, 2.04, nan, nan, nan, nan, nan),
        (0, 3.0, 50.0, 0, 60, 10, 1.0),
        (0, 3.04, nan, nan, nan, nan, nan),
    ]
    playback = Playback(with_boxes(classified, rows))
    assert playback.at(0.9) == []
    np.testing.assert_allclose(playback.at(1.5)[0].box, [5, 0, 15, 10])
    np.testing.assert_allclose(playback.at(2.02)[0].box, [10, 0, 20, 10])
    assert playback.at(2.5) == []
    np.testing.assert_allclose(playback.at(3.0)[0].box, [50, 0, 60, 10])
    assert playback.at(3.1) == []


def test_labels_are_those_of_the_moment(classified: Timeline) -> None:
    playback = Playback(with_boxes(classified, [(0, 0.0, 0.0, 0, 10, 10, 1.0)]))
    for time in (0.0, 0.2, 0.39, 3.0):
        row = playback.at(time)[0].row
        expected = classified.of(0).iloc[int(time / 0.2 + 1e-6)]
        assert row is not None
        assert row["confidence"] == pytest.approx(expected["confidence"])


def test_course_is_nan_in_gaps(circumplex: Timeline) -> None:
    playback = Playback(with_boxes(circumplex, []))
    course = playback.course(0, ("valence",), np.array([-1.0, 0.5, 0.9, 1.1, 7.0]))[:, 0]
    values = circumplex.frame["valence"].to_numpy()
    assert list(np.isnan(course)) == [True, False, True, False, True]
    assert course[1] == pytest.approx(values[2])


def test_the_plane_has_the_published_geometry(circumplex: Timeline) -> None:
    font = ImageFont.load_default(10)
    gauge = Gauge(Playback(with_boxes(circumplex, [])), (1080, 1920), font)
    x0, y0, x1, y1 = gauge.plane
    assert x1 - x0 == pytest.approx(y1 - y0)
    np.testing.assert_allclose(gauge.point(np.array([-1.0, 1.0])), [x0, y0])
    np.testing.assert_allclose(gauge.point(np.array([1.0, -1.0])), [x1, y1])
    np.testing.assert_allclose(gauge.point(np.array([0.0, 0.0])), [(x0 + x1) / 2, (y0 + y1) / 2])
    np.testing.assert_allclose(gauge.point(np.array([3.0, 0.5])), [x1, y0 + (y1 - y0) / 4])


@pytest.mark.parametrize("size", [(640, 360), (1080, 1920), (320, 240)])
@pytest.mark.parametrize("name", ["classified", "circumplex"])
def test_painting_marks_the_face_and_leaves_the_picture(
    size: tuple[int, int], name: str, request: pytest.FixtureRequest
) -> None:
    width, height = size
    box = (0.4 * width, 0.4 * height, 0.6 * width, 0.6 * height)
    timeline = with_boxes(request.getfixturevalue(name), [(0, 0.0, *box, 1.0)])
    image = np.full((height, width, 3), 90, np.uint8)
    painted = Painter(timeline, size).paint(image, 1.5)
    assert painted.shape == image.shape
    assert (image == 90).all()  # the given picture is untouched
    edge = painted[round(0.5 * height), round(box[0]) : round(box[0]) + 6].astype(int)
    assert np.abs(edge - face_colour(0)).sum(axis=1).min() < 30
    inside = painted[round(0.52 * height) : round(0.58 * height), round(0.45 * width) : round(0.55 * width)]
    assert (inside == 90).mean() > 0.9


def test_labels_stay_inside_the_picture(classified: Timeline) -> None:
    """A face at the very top: its label would lie above the picture."""
    timeline = with_boxes(classified, [(0, 0.0, 560.0, 0.0, 640.0, 80.0, 1.0)])
    painted = Painter(timeline, (640, 360)).paint(np.zeros((360, 640, 3), np.uint8), 1.0)
    plate = np.abs(painted.astype(int) - np.round(np.array(face_colour(0)) * 215 / 255)).sum(axis=2) < 12
    rows, columns = np.nonzero(plate)
    assert len(rows) > 500
    assert rows.min() == 0
    assert columns.max() >= 630


def test_overlay_of_a_recording(
    meter: Callable[..., Bundle], film: MakeFilm, planted: Callable[..., None], tmp_path: Path
) -> None:
    planted({0: range(10, 50)})
    path = film(FLAT, FLAT, loudness=[0.1, 0.4])
    timeline = predict(path, meter(crop=CropRecipe(size=16)))
    out = timeline.overlay(tmp_path / "overlay.mp4")
    with VideoReader(path) as before, VideoReader(out) as after:
        np.testing.assert_allclose(after.times, before.times, atol=1e-3)
        assert after.size == before.size
        first, second = after.at_times([0.0, 1.0]).astype(int), before.at_times([0.0, 1.0]).astype(int)
    np.testing.assert_allclose(first[0, 60:], second[0, 60:], atol=30)  # no face yet: only the tag in the corner
    frame = first[1]
    assert np.abs(frame[120, 26:34] - face_colour(0)).sum(axis=1).min() < 90
    assert np.abs(frame[120, 60] - second[1, 120, 60]).max() < 20
    sound, original = read_sound(out, 8000), read_sound(path, 8000)
    assert sound is not None
    assert original is not None
    for start, level in ((0.2, 0.1), (1.2, 0.4)):
        assert np.abs(sound.window(start, 0.6)).mean() == pytest.approx(level, rel=0.1)


def test_variable_rate_is_kept(
    meter: Callable[..., Bundle], film: MakeFilm, planted: Callable[..., None], tmp_path: Path
) -> None:
    times = np.concatenate([np.arange(10) / 10, 1 + np.arange(40) / 50])
    planted({0: range(50)})
    path = film(FLAT, FLAT, times=times)
    out = predict(path, meter(crop=CropRecipe(size=16))).overlay(tmp_path / "overlay.mp4")
    with VideoReader(out) as video:
        np.testing.assert_allclose(video.times, times, atol=1e-3)


def test_what_cannot_be_drawn_is_refused(classified: Timeline, tmp_path: Path) -> None:
    from_table = Timeline.from_csv(classified.to_csv(tmp_path / "t.csv"))
    with pytest.raises(UsageError, match="a CSV holds no boxes"):
        from_table.overlay(tmp_path / "o.mp4")
    with pytest.raises(MienError, match=r"talk\.mp4: no such file"):
        classified.overlay(tmp_path / "o.mp4")
    with pytest.raises(UsageError, match="would replace the recording"):
        classified.overlay("talk.mp4")
