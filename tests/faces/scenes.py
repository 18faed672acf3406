"""Recordings with known people in them, composed from portraits: frames with the true place of every person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from pictures import Image, canvas, darker, portrait

from mien.faces import TrackedFrame
from mien.faces.association import by_place
from mien.faces.boxes import overlap


@dataclass(frozen=True)
class Frame:
    index: int
    time: float
    image: Image


@dataclass(frozen=True)
class Actor:
    """A portrait, and where its face's box lies in it."""

    picture: Image
    face: np.ndarray


Place = tuple[float, float]  # centre of the face in the scene
Script = Callable[[float], "list[tuple[Actor, Place]]"]  # time → who is where, from back to front


def first_actor(height: int) -> Actor:
    return Actor(*portrait(height))


def second_actor(height: int) -> Actor:
    """The same portrait mirrored, darker and with red and blue exchanged: other colours, other sides."""
    picture, face = portrait(height)
    mirrored = darker(np.ascontiguousarray(picture[:, ::-1, ::-1]), 7)
    width = picture.shape[1]
    return Actor(mirrored, np.array([width - face[2], face[1], width - face[0], face[3]]))


def oval(picture: Image) -> np.ndarray:
    """Soft-edged mask (H, W, 1) of head and shoulders."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    return np.clip((1 - radius) * 12, 0, 1)[..., None]


def paste(scene: Image, actor: Actor, place: Place) -> np.ndarray:
    """Draw an actor into a scene; returns the face's box there."""
    centre = (actor.face[:2] + actor.face[2:]) / 2
    left, top = (round(p - c) for p, c in zip(place, centre, strict=True))
    height, width = actor.picture.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, scene.shape[1]), min(top + height, scene.shape[0])
    if x0 < x1 and y0 < y1:
        part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        mask = oval(actor.picture)[part]
        scene[y0:y1, x0:x1] = scene[y0:y1, x0:x1] * (1 - mask) + actor.picture[part] * mask
    return actor.face + np.array([left, top, left, top])


def played(script: Script, seconds: float, rate: float = 25, size: tuple[int, int] = (360, 640)) -> Iterator[Frame]:
    """Frames of a script before a plain background with camera noise."""
    background = canvas(*size)
    noise = np.random.default_rng(0).integers(-6, 7, (4, *size, 1))
    for i in range(round(seconds * rate)):
        scene = background.astype(float)
        for actor, place in script(i / rate):
            paste(scene, actor, place)
        yield Frame(i, i / rate, np.clip(scene + noise[i % 4], 0, 255).astype(np.uint8))


def truth(script: Script, time: float) -> list[np.ndarray]:
    """Boxes of the faces in a script at a time, in its order."""
    boxes = []
    for actor, place in script(time):
        centre = (actor.face[:2] + actor.face[2:]) / 2
        boxes.append(actor.face + np.tile(np.array(place) - centre, 2))
    return boxes


def ids_of(frames: Iterable[TrackedFrame], script: Script) -> dict[int, list[tuple[float, int]]]:
    """For every actor (by its number in order of first appearance in the script) the times and ids under which it was
    found, at the times when no one else's face hides it. Every tracked face counts for one actor only."""
    found: dict[int, list[tuple[float, int]]] = {}
    actors: list[int] = []
    for frame in frames:
        played_by = [id(actor.picture) for actor, _ in script(frame.time)]
        actors += [actor for actor in played_by if actor not in actors]
        boxes = np.stack(truth(script, frame.time)) if played_by else np.zeros((0, 4))
        faces = np.stack([face.box for face in frame.faces]) if frame.faces else np.zeros((0, 4))
        for i, j in by_place(boxes, faces, least=0.25):
            if overlap(boxes[i : i + 1], boxes[i + 1 :]).max(initial=0) < 0.1:
                found.setdefault(actors.index(played_by[i]), []).append((frame.time, frame.faces[j].track))
    return found
