from __future__ import annotations

import numpy as np
import pytest

from mien.data.seeding import generator
from mien.data.synthetic.expression import (
    ONSETS,
    Event,
    Speech,
    draw_event,
    draw_rest,
    draw_speech,
    envelope,
    perform,
    spoken,
)
from mien.data.synthetic.units import CLASSES, INDEX, affect, pattern

TIMES = np.arange(0, 4, 1 / 25)


def test_an_event_rises_stays_and_falls_as_told() -> None:
    event = Event("fear", start=1.0, rise=0.5, hold=0.4, fall=0.6, strength=0.8)
    at = np.array([0.0, 1.0, 1.25, 1.5, 1.9, 2.2, 2.5, 3.5])
    assert envelope(event, at) == pytest.approx([0, 0, 0.4, 0.8, 0.8, 0.4, 0, 0])


@pytest.mark.parametrize("label", CLASSES[1:])
def test_events_start_after_the_first_pictures_and_reach_their_apex(label: str) -> None:
    for seed in range(50):
        event = draw_event(generator(seed, "test"), label, 2.4, (0.7, 1.0))
        assert event.start > 0.2
        assert event.start + event.rise < 2.3
        assert ONSETS[label][0] <= event.rise <= ONSETS[label][1]


def test_affect_belongs_to_the_expression_alone() -> None:
    rest = draw_rest(generator(3, "test"), (0.5, 0.5))
    calm = perform(generator(4, "test"), [], rest, TIMES)
    assert np.all(calm.affect == 0)
    assert calm.units.max() > 0.3
    event = Event("happiness", 1.0, 0.5, 1.0, 0.5, 1.0)
    glad = perform(generator(4, "test"), [event], rest, TIMES)
    during = (TIMES > 1.7) & (TIMES < 2.3)
    assert glad.affect[during].mean(axis=0) == pytest.approx(affect(pattern("happiness")[None])[0], abs=0.25)
    assert glad.affect[TIMES < 0.8].max() == 0


def test_the_mouth_opens_with_every_syllable() -> None:
    speech = Speech(np.array([0.5, 1.5]), np.array([0.3, 0.3]), np.array([1.0, 0.8]), np.array([0, 3]))
    opening = spoken(speech, TIMES)[:, INDEX[25]]
    inside = ((TIMES > 0.5) & (TIMES < 0.8)) | ((TIMES > 1.5) & (TIMES < 1.8))
    assert opening[~inside] == pytest.approx(0)
    assert opening[np.argmin(abs(TIMES - 0.65))] > 0.7


def test_syllables_do_not_overlap_and_end_in_time() -> None:
    for seed in range(30):
        speech = draw_speech(generator(seed, "test"), 4.0)
        ends = speech.start + speech.length
        assert np.all(ends[:-1] <= speech.start[1:] + 1e-9)
        assert ends[-1] <= 4.0 + 1e-9


def test_units_stay_in_range() -> None:
    event = Event("surprise", 0.5, 0.2, 2.0, 0.5, 1.0)
    acted = perform(generator(1, "test"), [event], draw_rest(generator(2, "test"), (0.9, 1.0)), TIMES)
    assert acted.units.min() >= 0
    assert acted.units.max() <= 1.2
    assert np.abs(acted.affect).max() <= 1
