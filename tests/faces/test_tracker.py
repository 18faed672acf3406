"""Following, on composed recordings where the place and person of every face is known."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from pictures import canvas
from scenes import Actor, Frame, Script, first_actor, ids_of, played, second_actor, truth

from mien.faces import MTCNN, FaceTracker, TrackedFrame, TrackingSettings
from mien.faces.boxes import overlap

ONE, TWO = first_actor(90), second_actor(90)


def followed(
    detector: MTCNN, script: Script, seconds: float, rate: float = 25, **settings: float
) -> list[TrackedFrame]:
    tracker = FaceTracker(detector, TrackingSettings(**settings))
    frames = list(tracker.follow(played(script, seconds, rate)))
    assert [frame.index for frame in frames] == list(range(round(seconds * rate)))
    return frames


def ids(frames: list[TrackedFrame]) -> set[int]:
    return {face.track for frame in frames for face in frame.faces}


def people(frames: list[TrackedFrame], script: Script) -> dict[int, set[int]]:
    """For every actor all ids under which it was found."""
    return {actor: {track for _, track in found} for actor, found in ids_of(frames, script).items()}


@pytest.mark.parametrize("height", [40, 70, 120, 200, 330])
def test_a_moving_face_keeps_box_and_id(mtcnn: MTCNN, height: int) -> None:
    actor = first_actor(height)

    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(actor, (300 + 60 * np.sin(3 * time), 180 + 20 * np.cos(2 * time)))]

    frames = followed(mtcnn, script, 1.6)
    assert ids(frames) == {0}
    for frame in frames:
        (face,) = frame.faces
        assert face.score > 0.9
        assert overlap(face.box[None], truth(script, frame.time)[0][None])[0, 0] > 0.6


@pytest.mark.parametrize("start", [0.0, 0.36, 0.52])
def test_first_and_last_frame_are_exact(mtcnn: MTCNN, start: float) -> None:
    end = start + 1.16

    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(ONE, (450, 170))] * (start - 1e-6 <= time < end - 1e-6)

    frames = followed(mtcnn, script, 2.0)
    times = [frame.time for frame in frames if frame.faces]
    assert times[0] == pytest.approx(start)
    assert times[-1] == pytest.approx(end - 0.04)
    assert len(times) == 29


def test_a_newcomer_does_not_disturb_the_one_who_is_there(mtcnn: MTCNN) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(ONE, (200, 180)), *[(TWO, (450.0, 170.0))] * (0.5 < time < 1.5)]

    frames = followed(mtcnn, script, 2.0)
    assert people(frames, script) == {0: {0}, 1: {1}}
    assert sum(len(frame.faces) == 2 for frame in frames) == 25


@pytest.mark.parametrize("speed", [90, 150, 300])
def test_ids_survive_crossing(mtcnn: MTCNN, speed: float) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(TWO, (540 - speed * time, 185)), (ONE, (100 + speed * time, 180))]

    frames = followed(mtcnn, script, 440 / speed)
    assert people(frames, script) == {0: {0}, 1: {1}} or people(frames, script) == {0: {1}, 1: {0}}
    assert ids(frames) == {0, 1}


def test_ids_survive_meeting_and_turning_back(mtcnn: MTCNN) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        away = 130 * abs(time - 1.2)
        return [(TWO, (325 + away, 180)), (ONE, (295 - away, 185))]

    frames = followed(mtcnn, script, 2.4)
    found = people(frames, script)
    assert sorted(map(len, found.values())) == [1, 1]
    assert ids(frames) == {0, 1}


def test_a_cut_to_another_person_at_the_same_place_and_back(mtcnn: MTCNN) -> None:
    """The background stays, so only the face itself tells the cut."""

    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(ONE if not 0.79 < time < 1.59 else TWO, (300, 180))]

    frames = followed(mtcnn, script, 2.4)
    assert people(frames, script) == {0: {0}, 1: {1}}
    assert [face.track for frame in frames for face in frame.faces] == [0] * 20 + [1] * 20 + [0] * 20


def test_a_cut_to_a_scene_without_faces_and_back(mtcnn: MTCNN) -> None:
    """Nothing is interpolated over the cuts, however long gaps may be bridged, and the person is known again."""

    def frames() -> Iterator[Frame]:
        for frame in played(lambda time: [(ONE, (200, 180))], 1.6):
            elsewhere = 15 <= frame.index < 25
            yield Frame(frame.index, frame.time, 255 - canvas(360, 640) if elsewhere else frame.image)

    tracked = list(FaceTracker(mtcnn, TrackingSettings(bridge=1.0)).follow(frames()))
    assert [len(frame.faces) for frame in tracked] == [1] * 15 + [0] * 10 + [1] * 15
    assert ids(tracked) == {0}


def test_a_person_who_was_gone_for_a_moment_comes_back_under_the_same_id(mtcnn: MTCNN) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [] if 0.8 <= time < 2.0 else [(ONE, (250 if time < 1 else 290, 180))]

    frames = followed(mtcnn, script, 2.8)
    assert people(frames, script) == {0: {0}}
    assert [len(frame.faces) for frame in frames] == [1] * 20 + [0] * 30 + [1] * 20


def test_another_person_at_the_same_place_gets_another_id(mtcnn: MTCNN) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(ONE, (250.0, 180.0))] * (time < 0.8) + [(TWO, (255.0, 180.0))] * (time > 1.59)

    assert people(followed(mtcnn, script, 2.4), script) == {0: {0}, 1: {1}}


def test_who_was_gone_too_long_is_new(mtcnn: MTCNN) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [] if 0.8 <= time < 2.0 else [(ONE, (250, 180))]

    assert people(followed(mtcnn, script, 2.8, remember=0.5), script) == {0: {0, 1}}


def test_short_gaps_are_interpolated(mtcnn: MTCNN) -> None:
    """A hidden face is filled in between, at half its score, and not beyond ``bridge``."""

    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [] if 0.79 < time < 0.99 else [(ONE, (250 + 50 * time, 180))]

    frames = followed(mtcnn, script, 2.0)
    sources = [face.source for frame in frames for face in frame.faces]
    assert sources == ["detected"] * 20 + ["interpolated"] * 5 + ["detected"] * 25
    for frame in frames[20:25]:
        (face,) = frame.faces
        centre = (face.box[:2] + face.box[2:]) / 2
        assert centre[0] == pytest.approx(250 + 50 * frame.time, abs=4)
        assert face.score <= 0.5
        assert face.landmarks is not None
    assert sum(len(frame.faces) for frame in followed(mtcnn, script, 2.0, bridge=0.1)) == 45


def test_what_shows_too_briefly_is_no_track(mtcnn: MTCNN) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(ONE, (250.0, 180.0))] * (0.39 < time < 0.59)

    assert ids(followed(mtcnn, script, 1.2)) == set()
    assert ids(followed(mtcnn, script, 1.2, min_length=0.1, every=3)) == {0}


@pytest.mark.parametrize("count", [1, 3])
def test_a_recording_shorter_than_a_track_still_shows_its_face(mtcnn: MTCNN, count: int) -> None:
    frames = followed(mtcnn, lambda time: [(ONE, (250, 180))], count / 25)
    assert [len(frame.faces) for frame in frames] == [1] * count


def test_no_frames_give_no_frames(mtcnn: MTCNN) -> None:
    assert list(FaceTracker(mtcnn).follow([])) == []


@pytest.mark.parametrize("rate", [2, 8, 60])
def test_any_frame_rate(mtcnn: MTCNN, rate: float) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(ONE, (200 + 40 * np.sin(time), 180)), (TWO, (450, 170 + 10 * np.sin(2 * time)))]

    frames = followed(mtcnn, script, 120 / rate if rate == 60 else 5, rate)
    assert people(frames, script) in ({0: {0}, 1: {1}}, {0: {1}, 1: {0}})
    assert all(len(frame.faces) == 2 for frame in frames)


@pytest.mark.parametrize("every", [1, 3, 20])
def test_any_spacing_of_full_searches(mtcnn: MTCNN, every: int) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(ONE, (200 + 60 * time, 180))] * (time > 0.39)

    frames = followed(mtcnn, script, 1.6, every=every)
    assert [len(frame.faces) for frame in frames] == [0] * 10 + [1] * 30


def test_frames_are_handed_out_while_others_are_read(mtcnn: MTCNN) -> None:
    """Never more than a dozen frames wait at the default settings, and the pictures are those that came in."""
    read = 0

    def counted() -> Iterator[Frame]:
        nonlocal read
        for frame in played(lambda time: [(ONE, (250, 180))], 1.6):
            read += 1
            yield frame

    for n, frame in enumerate(FaceTracker(mtcnn).follow(counted())):
        assert read - n <= 12
        assert frame.image.shape == (360, 640, 3)


def test_same_frames_same_tracks(mtcnn: MTCNN) -> None:
    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [(TWO, (400 - 100 * time, 185)), (ONE, (250, 180))]

    once, again = followed(mtcnn, script, 1.2), followed(mtcnn, script, 1.2)
    for one, other in zip(once, again, strict=True):
        assert [face.track for face in one.faces] == [face.track for face in other.faces]
        for face, same in zip(one.faces, other.faces, strict=True):
            np.testing.assert_array_equal(face.box, same.box)


def test_nothing_is_held_back_where_nothing_is_to_be_settled(mtcnn: MTCNN) -> None:
    """With a search in every frame and neither gaps to fill nor a least length, one frame waits."""

    def script(time: float) -> list[tuple[Actor, tuple[float, float]]]:
        return [] if 0.35 < time < 0.45 else [(ONE, (250, 180))]

    tracker = FaceTracker(mtcnn, TrackingSettings(every=1, min_length=0, bridge=0))
    frames = list(tracker.follow(played(script, 0.8)))
    assert [len(frame.faces) for frame in frames] == [1] * 9 + [0] * 3 + [1] * 8
    assert ids(frames) == {0}


def test_memory_does_not_grow_with_the_recording(mtcnn: MTCNN) -> None:
    """No frame is kept that was handed out, and tracks forget what no frame can need."""
    pictures: list[weakref.ref[np.ndarray]] = []

    def frames() -> Iterator[Frame]:
        for frame in played(lambda time: [(ONE, (250, 180))], 4.0, size=(180, 320)):
            pictures.append(weakref.ref(frame.image))
            yield frame

    most = 0
    for _ in FaceTracker(mtcnn).follow(frames()):
        most = max(most, sum(picture() is not None for picture in pictures))
    assert len(pictures) == 100
    assert most <= 14
