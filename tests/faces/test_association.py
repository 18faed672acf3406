from __future__ import annotations

import numpy as np
import pytest

from mien.faces import Detection
from mien.faces.association import IMPOSSIBLE, assign, by_person, by_place
from mien.faces.track import Moment, Track

LOOKS = np.eye(3, 800, dtype=np.float32)


def face(x: float, y: float = 100, side: float = 60) -> Detection:
    return Detection(np.array([x, y, x + side, y + side]), 0.99)


def track(x: float, look: int, number: int = 0, shot: int = 0, side: float = 60) -> Track:
    return Track(Moment(number, shot, number / 25), face(x, side=side), LOOKS[look])


def at(number: int, shot: int = 0) -> Moment:
    return Moment(number, shot, number / 25)


def test_assignment_is_best_in_total_not_greedy() -> None:
    assert assign(np.array([[0.1, 0.2], [0.2, 0.9]])) == [(0, 1), (1, 0)]
    assert assign(np.array([[0.1, IMPOSSIBLE], [IMPOSSIBLE, IMPOSSIBLE]])) == [(0, 0)]
    assert assign(np.zeros((0, 3))) == []


def test_by_place_pairs_boxes_that_overlap() -> None:
    expected = np.stack([face(100).box, face(130).box, face(400).box])
    found = np.stack([face(128).box, face(104).box, face(600).box])
    assert by_place(expected, found) == [(0, 1), (1, 0)]
    assert by_place(np.zeros((0, 4)), found) == []


def test_looks_decide_between_people() -> None:
    tracks = [track(100, 0), track(160, 1)]
    pairs = by_person(tracks, [face(105), face(155)], [LOOKS[1], LOOKS[0]], at(25), same_person=0.7)
    assert pairs == [(0, 1), (1, 0)]


def test_strangers_stay_strangers() -> None:
    assert by_person([track(100, 0)], [face(100)], [LOOKS[2]], at(25), same_person=0.7) == []


@pytest.mark.parametrize(("number", "x", "same"), [(5, 180, True), (5, 350, False), (50, 350, True)])
def test_how_far_a_person_may_have_gone_grows_with_time(number: int, x: float, same: bool) -> None:
    pairs = by_person([track(100, 0)], [face(x)], [LOOKS[0]], at(number), same_person=0.7)
    assert bool(pairs) == same


def test_over_a_cut_place_must_agree() -> None:
    for x, same in ((140, True), (300, False)):
        pairs = by_person([track(100, 0)], [face(x)], [LOOKS[0]], at(100, shot=1), same_person=0.7)
        assert bool(pairs) == same


def test_size_must_agree() -> None:
    assert by_person([track(100, 0)], [face(85, 85, 90)], [LOOKS[0]], at(5), same_person=0.7) == [(0, 0)]
    assert by_person([track(100, 0)], [face(40, 40, 180)], [LOOKS[0]], at(5), same_person=0.7) == []


def test_likeness_asked_for_depends_on_the_place_and_the_loss() -> None:
    half = (0.4 * LOOKS[0] + np.sqrt(1 - 0.4**2) * LOOKS[1]).astype(np.float32)
    more = (0.6 * LOOKS[0] + np.sqrt(1 - 0.6**2) * LOOKS[1]).astype(np.float32)

    def same(look: np.ndarray, number: int, **state: object) -> bool:
        lost = track(100, 0)
        for name, value in state.items():
            setattr(lost, name, value)
        return bool(by_person([lost], [face(102)], [look], at(number), same_person=0.7))

    assert same(half, number=5)
    assert not same(half, number=5, displaced=True)
    assert not same(half, number=30)
    assert not same(more, number=30)
    assert same(more, number=30, rival=track(150, 1))


def test_nobody_is_in_two_places_at_once() -> None:
    assert by_person([track(100, 0, number=10)], [face(100)], [LOOKS[0]], at(10), same_person=0.7) == []
