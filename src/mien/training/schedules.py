"""Values that follow a schedule, one per optimiser step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import UsageError
from mien.training.schema import Recipe


def cosine_schedule(base: float, final: float, steps: int, warmup: int = 0, start: float = 0.0) -> NDArray[np.float64]:
    """Linear warm-up, then half a cosine, as in the published code of VideoMAE, MAE-DFER, SVFAP and DINO.

    Warm-up runs from ``start`` to ``base`` with both ends included; then
    ``final + (base - final) / 2 * (1 + cos(pi * i / n))`` for i = 0 ... n - 1. So ``base`` is taken twice (last step of
    the warm-up, first of the cosine) and ``final`` is not quite reached.

    Args:
        base: value at the peak.
        final: value that the cosine tends to.
        steps: length of the whole schedule.
        warmup: length of the warm-up, at most ``steps``.
        start: value at step 0 of the warm-up.

    Returns:
        float64 ``(steps,)``.
    """
    if not 0 <= warmup <= steps:
        raise UsageError(f"a warm-up of {warmup} steps does not fit into {steps} steps; shorten it")
    decay = np.arange(steps - warmup) / max(steps - warmup, 1)
    rising = np.linspace(start, base, warmup)
    return np.concatenate([rising, final + 0.5 * (base - final) * (1 + np.cos(np.pi * decay))])


def halving_schedule(base: float, every: int, steps: int) -> NDArray[np.float64]:
    """``base`` for ``every`` steps, then half of it for as many, and so on: float64 ``(steps,)`` (ViPER, 2022)."""
    if every < 1:
        raise UsageError(f"a rate cannot be halved every {every} steps; give 1 or more")
    return np.asarray(base * 0.5 ** (np.arange(steps) // every), dtype=np.float64)


def drop_schedule(base: float, epochs: Sequence[int], steps_per_epoch: int, steps: int) -> NDArray[np.float64]:
    """A tenth of the rate from each of ``epochs`` on, which count from 1: float64 ``(steps,)``."""
    epoch = np.arange(steps) // steps_per_epoch + 1
    drops = (epoch[:, None] >= np.asarray(epochs)).sum(axis=1)
    return np.asarray(base * 0.1**drops, dtype=np.float64)


def total_steps(recipe: Recipe, steps_per_epoch: int) -> int:
    """Optimiser steps of the whole run."""
    if recipe.schedule.steps is not None:
        return recipe.schedule.steps
    assert recipe.schedule.epochs is not None  # the schema holds that one of the two is there
    return recipe.schedule.epochs * steps_per_epoch


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> NDArray[np.float64]:
    """Learning rate of every optimiser step before layer-wise decay: float64 ``(total steps,)``."""
    optimiser, schedule = recipe.optimiser, recipe.schedule
    scale = recipe.data.batch / optimiser.base_batch if optimiser.base_batch else 1.0
    if schedule.shape == "held_cosine":
        assert schedule.epochs is not None  # the schema holds it
        return held_cosine(optimiser.lr * scale, schedule.epochs, steps_per_epoch)
    if schedule.shape == "halving":
        assert schedule.halve_epochs is not None  # the schema holds it
        every = schedule.halve_epochs * steps_per_epoch
        return halving_schedule(optimiser.lr * scale, every, total_steps(recipe, steps_per_epoch))
    if schedule.shape == "drops":
        steps = total_steps(recipe, steps_per_epoch)
        return drop_schedule(optimiser.lr * scale, schedule.drop_epochs, steps_per_epoch, steps)
    warmup = schedule.warmup_steps
    if warmup is None:
        warmup = int((schedule.warmup_epochs or 0) * steps_per_epoch)
    steps = total_steps(recipe, steps_per_epoch)
    return cosine_schedule(optimiser.lr * scale, optimiser.min_lr * scale, steps, warmup)


def weight_decays(recipe: Recipe, steps_per_epoch: int) -> NDArray[np.float64]:
    """Weight decay of every optimiser step, for parameters that are decayed: float64 ``(total steps,)``."""
    optimiser, steps = recipe.optimiser, total_steps(recipe, steps_per_epoch)
    end = optimiser.weight_decay if optimiser.weight_decay_end is None else optimiser.weight_decay_end
    return cosine_schedule(optimiser.weight_decay, end, steps)


def held_cosine(base: float, epochs: int, steps_per_epoch: int) -> NDArray[np.float64]:
    """Rate per step as SS-VAERR published it: the cosine moves after each epoch by the epoch that has ended.

    So the first two epochs run at ``base``, and the rate is constant within an epoch.
    """
    ended = np.maximum(np.arange(epochs) - 1, 0)
    return np.repeat(base * 0.5 * (1 + np.cos(np.pi * ended / epochs)), steps_per_epoch)
