from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data.seeding import generator
from mien.data.synthetic.figure import Figure, Look
from mien.data.synthetic.head import Light, Pose
from mien.data.synthetic.identity import draw_identity
from mien.data.synthetic.units import CLASSES, INDEX, UNITS, pattern

SIZE = 128
LIGHT = Light(np.array([0.3, -0.4, 0.866], np.float32), 0.7, 0.35, np.ones(3, np.float32))
PEOPLE = [Figure(draw_identity(generator(seed, "test"))) for seed in range(3)]


def paint(person: int = 0, units: NDArray[np.float32] | None = None, pose: Pose | None = None) -> NDArray[np.floating]:
    picture = np.full((3, SIZE, SIZE), 0.5, np.float32)
    shown = np.zeros((len(UNITS), 2), np.float32) if units is None else units
    PEOPLE[person].paint(picture, Look(pose or Pose(SIZE / 2, SIZE * 0.46, SIZE * 0.27), shown), LIGHT)
    return picture


def only(unit: int, amount: float = 1.0) -> NDArray[np.float32]:
    units = np.zeros((len(UNITS), 2), np.float32)
    units[INDEX[unit]] = amount
    return units


def test_the_same_seed_paints_the_same_picture() -> None:
    again = Figure(draw_identity(generator(0, "test")))
    picture = np.full((3, SIZE, SIZE), 0.5, np.float32)
    units = np.zeros((len(UNITS), 2), np.float32)
    again.paint(picture, Look(Pose(SIZE / 2, SIZE * 0.46, SIZE * 0.27), units), LIGHT)
    assert np.array_equal(picture, paint())


def test_people_differ() -> None:
    assert np.abs(paint(0) - paint(1)).mean() > 0.02


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_shows(unit: int) -> None:
    for person in range(3):
        assert np.abs(paint(person, only(unit)) - paint(person)).max() > 0.05


@pytest.mark.parametrize(("unit", "upper"), [(1, True), (4, True), (5, True), (15, False), (12, False), (26, False)])
def test_units_move_their_part_of_the_face(unit: int, upper: bool) -> None:
    change = np.abs(paint(0, only(unit)) - paint(0)).sum(axis=(0, 2))
    middle = int(SIZE * 0.46 + 0.18 * SIZE * 0.27 * 1.33)
    share = change[:middle].sum() / change.sum()
    assert share > 0.6 if upper else share < 0.6


def test_an_uneven_unit_moves_its_side_more() -> None:
    units = only(12)
    units[INDEX[12], 1] = 0.0  # only the image's left corner
    change = np.abs(paint(0, units) - paint(0)).sum(axis=(0, 1))
    assert change[: SIZE // 2].sum() > 3 * change[SIZE // 2 :].sum()


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    "pose",
    [
        Pose(0.0, 0.0, 30.0),
        Pose(SIZE, SIZE, 40.0),
        Pose(64, 60, 300.0),
        Pose(64, 60, 6.0),
        Pose(64, 60, 34.0, yaw=0.8, pitch=0.5, roll=1.0),
        Pose(-500, 60, 30.0),
    ],
    ids=["corner", "other corner", "huge", "tiny", "turned", "outside"],
)
def test_any_place_and_turn_can_be_painted(name: str, pose: Pose) -> None:
    units = np.repeat(pattern(name)[:, None], 2, axis=1)
    for person in range(3):
        picture = paint(person, units, pose)
        assert np.isfinite(picture).all()
        assert picture.min() > -0.01
