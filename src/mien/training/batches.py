"""Training batches, step by step, from any step on: the position is a number that the run keeps, not hidden state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mien.data.dataset import ClipDataset, Failure
from mien.data.loader import ClipLoader
from mien.data.order import EpochOrder
from mien.errors import MienError, UsageError
from mien.training.schema import Recipe


@dataclass(frozen=True)
class Part:
    """Clips that one device holds at once.

    Attributes:
        ids: of the clips.
        tensors: with a batch dimension.
    """

    ids: tuple[str, ...]
    tensors: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Step:
    """What one process contributes to one optimiser step.

    Attributes:
        parts: clips, split for gradient accumulation; empty where none of them could be read.
        failures: clips that could not be read.
        waited: seconds that training stood still for these data.
    """

    parts: tuple[Part, ...]
    failures: tuple[Failure, ...]
    waited: float


class Batches:
    """The steps of a run for one process.

    All processes together see the same clips at a step, however many they are.
    """

    def __init__(self, recipe: Recipe, dataset: ClipDataset, rank: int, world: int, pin_memory: bool) -> None:
        at_once = recipe.data.shuffle_shards
        order = EpochOrder(
            recipe.seed,
            len(dataset),
            recipe.data.batch // world,
            rank=rank,
            world=world,
            shards=dataset.shards() if at_once else None,
            at_once=max(at_once, 1),
            together=recipe.data.sampling.repeats,
            classes=_classes(dataset, recipe.data.sampling.windows) if recipe.data.balanced else None,
        )
        self.steps_per_epoch = len(order)
        self._part = recipe.part
        # the share of unreadable clips is judged over all processes, by the loop
        self._loader = ClipLoader(dataset, order, recipe.data.workers, max_unreadable=None, pin_memory=pin_memory)

    def starting_at(self, step: int) -> Iterator[Step]:
        """Endless steps from number ``step`` on."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        self._loader.load_state_dict({"epoch": epoch, "batch": batch, "failures": []})
        while True:
            batches = iter(self._loader)
            while True:
                begun = time.perf_counter()
                values = _next(batches)
                if values is None:
                    break
                yield Step(_split(values, self._part), tuple(values["failures"]), time.perf_counter() - begun)


def _classes(dataset: ClipDataset, windows: int) -> NDArray[np.int64]:
    """Class of every window of an epoch."""
    targets = dataset.clip_targets
    if targets is None or targets.is_floating_point():
        raise UsageError("data.balanced needs a task with classes; this one has values")
    return targets.numpy().repeat(windows)


def _next(batches: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return next(batches, None)
    except MienError as error:
        report = str(error)
        if "Original Traceback" not in report:
            raise
        # torch wraps what a worker raises into a report, whose last line is the message
        raise type(error)(report.strip().splitlines()[-1].partition(": ")[2]) from None


def _split(values: dict[str, Any], size: int) -> tuple[Part, ...]:
    ids: list[str] = values["ids"]
    tensors = {key: value for key, value in values.items() if isinstance(value, Tensor) and key != "clip"}
    return tuple(
        Part(tuple(ids[first : first + size]), {key: value[first : first + size] for key, value in tensors.items()})
        for first in range(0, len(ids), size)
    )
