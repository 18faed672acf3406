"""The schedule against values of the published scripts and hand-worked ones."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import UsageError
from mien.training.recipe import check_recipe
from mien.training.schedules import cosine_schedule, halving_schedule, learning_rates, total_steps

# step → value as the published SVFAP and MAE-DFER scripts compute them
VOXCELEB2 = {
    0: 0.0,
    1: 1.4071954594493173e-08,
    21318: 0.00029998592804540545,
    21319: 0.0003,
    21320: 0.0003,
    21321: 0.00029999999999563926,
    213200: 0.00016697400509348818,
    426399: 1.0000000004360706e-05,
}
FERV39K = {1: 3.62248841e-07, 1294: 0.00046875, 1295: 0.00046875, 12950: 0.000253944555, 25899: 4.68751909e-07}


def test_published_pretraining() -> None:
    values = cosine_schedule(3e-4, 1e-5, 426400, 5 * 4264)
    assert len(values) == 426400
    np.testing.assert_allclose([values[step] for step in VOXCELEB2], list(VOXCELEB2.values()), rtol=1e-12)


def test_published_fine_tuning() -> None:
    values = cosine_schedule(0.00046875, 4.6875e-07, 25900, 5 * 259)
    np.testing.assert_allclose([values[step] for step in FERV39K], list(FERV39K.values()), rtol=1e-8)


@pytest.mark.parametrize(
    ("steps", "warmup", "expected"),
    [(4, 0, [1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]), (3, 3, [0.0, 0.5, 1.0]), (0, 0, []), (2, 1, [0.0, 1.0])],
)
def test_by_hand(steps: int, warmup: int, expected: list[float]) -> None:
    np.testing.assert_allclose(cosine_schedule(1.0, 0.0, steps, warmup), expected, atol=1e-15)


def test_rising_schedule() -> None:
    values = cosine_schedule(0.04, 0.4, 12)
    np.testing.assert_allclose(values[[0, 1, 6, 11]], [0.04, 0.04613335126796769, 0.22, 0.3938666487320323])


def test_a_warm_up_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="warm-up of 5 steps"):
        cosine_schedule(1.0, 0.0, 4, 5)


def test_rates_of_a_recipe_scale_with_the_batch() -> None:
    recipe = check_recipe(
        {
            "name": "x",
            "data": {"manifest": "m.csv", "batch": 64},
            "model": {"name": "m"},
            "task": {"kind": "classification", "outputs": ["a", "b"]},
            "optimiser": {"lr": 1e-3, "min_lr": 1e-6, "base_batch": 256},
            "schedule": {"epochs": 100, "warmup_epochs": 5},
        },
        "x",
    )
    rates = learning_rates(recipe, 146)
    assert total_steps(recipe, 146) == len(rates) == 14600
    # DFEW fold 1, as the published script computes them
    expected = [0.0, 3.429355281207133e-07, 0.00025, 0.00025, 0.00013543709576585754, 2.500032032609991e-07]
    np.testing.assert_allclose(rates[[0, 1, 729, 730, 7300, 14599]], expected, rtol=1e-12)


def test_halving() -> None:
    assert halving_schedule(1.0, 2, 7).tolist() == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]
    with pytest.raises(UsageError, match="every 0 steps"):
        halving_schedule(1.0, 0, 7)
