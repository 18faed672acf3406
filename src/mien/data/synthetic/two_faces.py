"""One longer video with two people beside each other, and what is true about them: for trying out prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from mien.data.seeding import generator
from mien.data.synthetic.expression import (
    Event,
    Performance,
    Speech,
    draw_event,
    draw_rest,
    draw_speech,
    perform,
)
from mien.data.synthetic.figure import Figure
from mien.data.synthetic.film import Actor, Scene
from mien.data.synthetic.identity import draw_identity
from mien.data.synthetic.settings import SyntheticSettings
from mien.data.synthetic.units import CLASSES
from mien.files import complete

EVENT_SECONDS = 2.4  # room that every expression gets
TURN_SECONDS = 3.0  # how long one person talks before the other does


def film_two_faces(
    path: Path | str, settings: SyntheticSettings, seconds: float = 12.0, size: tuple[int, int] = (480, 270)
) -> pd.DataFrame:
    """Write a video of two people who are in no corpus of these settings, and return what is true about them.

    Both show one expression after the other, take turns in talking, move about and never cover each other.

    Args:
        path: the MP4 file to be; ``<name>.csv`` beside it gets the returned table.
        settings: manner of expressions, frame rate, sound and seed.
        seconds: length.
        size: width and height in pixels.

    Returns:
        A row per frame and person: ``time, person`` (0 left, 1 right), ``x, y`` (centre of the head in pixels),
        ``radius`` (half its width), ``label`` (class of the expression that is shown), ``valence``, ``arousal``.
    """
    path, (width, height) = Path(path), size
    frames = round(seconds * settings.fps)
    times = np.arange(frames) / settings.fps
    actors, events = [], []
    for person in range(2):
        rng = generator(settings.seed, "two faces", person)
        script = _script(rng, settings, seconds)
        rest = draw_rest(rng, settings.rest) + draw_rest(rng, settings.mimic)
        acted = perform(rng, script, rest, times, settings.motion, _turns(rng, person, seconds))
        scale = rng.uniform(0.16, 0.2) * height
        place = ((0.27 + 0.46 * person + rng.uniform(-0.02, 0.02)) * width, (0.45 + rng.uniform(-0.05, 0.05)) * height)
        actors.append(Actor(Figure(draw_identity(rng)), acted, *place, scale))
        events.append(script)
    rng = generator(settings.seed, "two faces", "scene")
    scene = Scene.draw(rng, tuple(actors), frames, (height, width))
    truth = pd.concat(
        [_truth(person, actor, script) for person, (actor, script) in enumerate(zip(actors, events, strict=True))],
        ignore_index=True,
    )
    with complete(path.with_suffix(".csv")) as part:
        truth.to_csv(part, index=False, float_format="%.4f")
        scene.write(path, settings.fps, settings.sound_rate, rng)
    return truth


def _script(rng: Generator, settings: SyntheticSettings, seconds: float) -> list[Event]:
    """Expressions one after the other, each class once before any comes twice."""
    events: list[Event] = []
    order: list[str] = []
    for start in np.arange(0.0, seconds, EVENT_SECONDS):
        order = order or [str(name) for name in rng.permutation(CLASSES[1:])]
        event = draw_event(rng, order.pop(), EVENT_SECONDS, settings.intensity)
        events.append(
            Event(event.label, float(start) + event.start, event.rise, event.hold, event.fall, event.strength)
        )
    return events


def _turns(rng: Generator, person: int, seconds: float) -> Speech:
    """What a person says when both take turns."""
    speech = draw_speech(rng, seconds)
    mine = (speech.start // TURN_SECONDS).astype(int) % 2 == person
    return Speech(speech.start[mine], speech.length[mine], speech.loudness[mine], speech.vowel[mine])


def _truth(person: int, actor: Actor, events: list[Event]) -> pd.DataFrame:
    acted: Performance = actor.performance
    poses = [actor.look(index).pose for index in range(len(acted.times))]
    return pd.DataFrame(
        {
            "time": acted.times,
            "person": person,
            "x": [pose.x for pose in poses],
            "y": [pose.y for pose in poses],
            "radius": [pose.scale * actor.figure.face.width for pose in poses],
            "label": _labels(events, acted.times),
            "valence": acted.affect[:, 0],
            "arousal": acted.affect[:, 1],
        }
    )


def _labels(events: list[Event], times: NDArray[np.float64]) -> list[str]:
    """Class of the expression that lasts at each time, neutral between them."""
    labels = np.full(len(times), "neutral", dtype=object)
    for event in events:
        lasts = (times >= event.start) & (times <= event.start + event.rise + event.hold + event.fall)
        labels[lasts] = event.label
    return [str(label) for label in labels]
