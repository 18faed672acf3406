from __future__ import annotations

import numpy as np
import pytest
from pictures import darker
from scenes import Actor, first_actor, paste, second_actor

from mien.faces import Detection
from mien.faces.appearance import Gallery, describe, template


def seen(actor: Actor, x: float = 300, y: float = 180, brightness: int = 10) -> tuple[np.ndarray, Detection]:
    scene = np.full((360, 640, 3), 120.0)
    box = paste(scene, actor, (x, y))
    return darker(scene.astype(np.uint8), brightness), Detection(box, 0.99)


def test_vectors_have_unit_length() -> None:
    assert np.linalg.norm(describe(*seen(first_actor(90)))) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(template(*seen(first_actor(90)))) == pytest.approx(1, abs=1e-5)
    blank = np.full((100, 100, 3), 7, np.uint8), Detection(np.array([20.0, 20, 60, 60]), 0.9)
    assert np.isfinite(describe(*blank)).all()
    assert np.isfinite(template(*blank)).all()


@pytest.mark.parametrize("height", [50, 90, 130])
def test_the_same_person_elsewhere_and_in_other_light_is_alike(height: int) -> None:
    one = describe(*seen(first_actor(height)))
    assert one @ describe(*seen(first_actor(height), 420, 200)) > 0.97
    assert one @ describe(*seen(first_actor(height), brightness=6)) > 0.9
    assert one @ describe(*seen(first_actor(round(height * 1.15)))) > 0.85


def test_another_person_is_not() -> None:
    one, other = seen(first_actor(90)), seen(second_actor(90))
    assert describe(*one) @ describe(*other) < 0.6
    assert template(*one) @ template(*other) < 0.75


def test_gallery_remembers_looks_that_differ() -> None:
    views = np.eye(10, 800, dtype=np.float32)
    gallery = Gallery()
    assert gallery.similarity(views[0]) == 0
    for view in views:
        gallery.add(view)
    assert [gallery.similarity(view) for view in views] == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_gallery_keeps_one_of_looks_that_hardly_differ() -> None:
    rng = np.random.default_rng(0)
    old = rng.normal(size=800).astype(np.float32)
    old /= np.linalg.norm(old)
    gallery = Gallery()
    gallery.add(old)
    for _ in range(20):
        new = rng.normal(size=800).astype(np.float32) * 0.0005 + old
        gallery.add(new / np.linalg.norm(new))
    other = np.roll(old, 1)
    gallery.add(other)
    assert gallery.similarity(old) > 0.99
    assert gallery.similarity(other) == pytest.approx(1, abs=1e-5)
