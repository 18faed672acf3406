from __future__ import annotations

import numpy as np
import pytest

from mien.faces import Detection
from mien.faces.track import Moment, Track

LOOK = np.eye(1, 800, dtype=np.float32)[0]


def face(x: float, score: float = 0.99, landmarks: bool = True) -> Detection:
    points = np.tile(np.array([x, 100.0]), (5, 1)) if landmarks else None
    return Detection(np.array([x, 100, x + 60, 160]), score, points)


def at(number: int, shot: int = 0) -> Moment:
    return Moment(number, shot, number / 25)


def moving() -> Track:
    """Seen in frames 0 to 9, 50 px a second to the right."""
    track = Track(at(0), face(100), LOOK)
    for number in range(1, 10):
        track.see(at(number), face(100 + 2 * number))
    track.id = 7
    return track


def test_expected_place_moves_on_and_comes_to_rest() -> None:
    track = moving()
    assert track.expected(10 / 25)[0] == pytest.approx(120, abs=0.1)
    assert track.expected(2.0)[0] == track.expected(9.0)[0] == pytest.approx(118 + 50 * 0.2, abs=0.3)


def test_certainty_is_the_mean_of_log_odds() -> None:
    track = Track(at(0), face(0, 0.9), LOOK)
    track.see(at(1), face(0, 0.99))
    assert track.certainty == pytest.approx(1 / (1 + 1 / np.sqrt(9 * 99)))
    track.see(at(2), face(0, 1.0))
    assert track.certainty < 1


def test_a_face_seen_is_handed_out_as_seen() -> None:
    found = moving().at(at(4), bridge=0.4)
    assert found is not None
    assert (found.track, found.source, found.score, found.box[0]) == (7, "detected", 0.99, 108)


def test_gaps_are_filled_in_proportion() -> None:
    track = moving()
    track.see(at(14), face(138, 0.8))
    found = track.at(at(13), bridge=0.4)
    assert found is not None
    assert (found.source, found.score) == ("interpolated", 0.4)
    assert found.box[0] == pytest.approx(134)
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[:, 0], 134)
    assert track.at(at(13), bridge=0.1) is None
    assert track.at(at(15), bridge=9.0) is None


def test_gaps_over_a_cut_are_not_filled() -> None:
    track = moving()
    track.see(at(12, shot=1), face(110))
    assert track.at(at(10), bridge=1.0) is None


def test_landmarks_are_missing_where_one_end_has_none() -> None:
    track = moving()
    track.see(at(11), face(122, landmarks=False))
    found = track.at(at(10), bridge=1.0)
    assert found is not None
    assert found.landmarks is None


def test_earlier_sightings_move_the_start_only() -> None:
    track = Track(at(8), face(100), LOOK)
    track.see(at(7), face(98))
    track.see(at(6), face(96))
    assert track.first.number == 6
    assert track.last.moment.number == 8
    assert track.expected(9 / 25)[0] == 100


def test_sightings_can_be_handed_over() -> None:
    one, other = moving(), Track(at(0), face(300), LOOK)
    other.give(one.take(5))
    assert one.last.moment.number == 4
    assert other.last.face.box[0] == 118
    assert not one.empty()
    one.take(0)
    assert one.empty()


def test_pruning_keeps_what_a_gap_needs() -> None:
    track = moving()
    track.prune(5)
    assert track.seen_at(4) is None
    assert track.seen_at(5) is not None
    track.prune(20)
    track.see(at(22), face(140))
    assert track.at(at(21), bridge=1.0) is not None
