from __future__ import annotations

import numpy as np
import pytest

from mien.data.synthetic.units import AFFECT_WEIGHTS, CIRCUMPLEX, CLASSES, INDEX, affect, pattern


@pytest.mark.parametrize("name", CLASSES)
def test_full_expressions_lie_on_their_place_in_the_circumplex(name: str) -> None:
    assert affect(pattern(name)[None])[0] == pytest.approx(CIRCUMPLEX[name], abs=1e-6)


def test_affect_is_linear_in_the_strength_of_an_expression() -> None:
    anger = pattern("anger")[None]
    assert affect(0.3 * anger) == pytest.approx(0.3 * affect(anger), abs=1e-6)


def test_a_smile_is_pleasant_and_lowered_corners_are_not() -> None:
    assert AFFECT_WEIGHTS[INDEX[12], 0] > 0 > AFFECT_WEIGHTS[INDEX[15], 0]


def test_every_expression_differs_from_every_other() -> None:
    patterns = np.stack([pattern(name) for name in CLASSES])
    distances = np.linalg.norm(patterns[:, None] - patterns[None], axis=2)
    assert distances[~np.eye(len(CLASSES), dtype=bool)].min() > 0.8
