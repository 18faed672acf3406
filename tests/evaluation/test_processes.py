"""Two processes over gloo judge what one does: gathered, each clip once, never averaged over processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing
from torch.utils.data import DistributedSampler

from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.scores import figures
from mien.models.specification import TaskConfig
from mien.tasks import create_task

CLIPS, CLASSES = 13, TaskConfig(kind="classification", outputs=("a", "b", "c"))
VALUES = TaskConfig(kind="dimensions", level="frame", outputs=("valence", "arousal"))


def courses(ids: list[int]) -> Predictions:
    """Values over time, of clips of many lengths; one never changes, one has no truth, and clip 3 is a single frame."""
    made = []
    for number in ids:
        rng, length = np.random.default_rng(number), 1 if number == 3 else 5 + 3 * number
        truth = rng.normal(number, 1, (length, 2))
        truth[:, 0] = 0.5 if number == 4 else truth[:, 0]
        truth[:, 1] = np.nan if number == 6 else truth[:, 1]
        output = 0.5 * np.nan_to_num(truth) + rng.normal(size=(length, 2))
        made.append(ClipPrediction(f"{number:02d}", output, truth, np.arange(length) / 25, 1))
    return Predictions(tuple(made))


def predictions(ids: list[int]) -> Predictions:
    """What any process says about these clips; classes are rare and uneven, so averaged metrics would differ."""
    made = []
    for number in ids:
        rng = np.random.default_rng(number)
        truth = 2 if number == 5 else int(number % 4 == 1)
        made.append(
            ClipPrediction(f"{number:02d}", rng.dirichlet(np.ones(3))[None], np.array([truth]), np.full(1, np.nan), 1)
        )
    return Predictions(tuple(made))


def judge_a_part(rank: int, meeting: str, out: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    # torch's own sampler repeats a clip so that both processes have as many
    own = list(DistributedSampler(range(CLIPS), num_replicas=2, rank=rank, shuffle=False))  # type: ignore[arg-type]
    found: dict[str, float] = {"count": len(own)}
    for task, make in ((CLASSES, predictions), (VALUES, courses)):
        parts: list[Predictions | None] = [None, None]
        distributed.all_gather_object(parts, make(own))
        joined = Predictions.join([part for part in parts if part is not None])
        found |= {f"joined {task.kind}": len(joined.clips), **figures(create_task(task), joined)}
    torch.save(found, f"{out}{rank}")
    distributed.destroy_process_group()


def test_two_processes_judge_as_one(tmp_path: Path) -> None:
    multiprocessing.spawn(judge_a_part, (str(tmp_path / "meeting"), str(tmp_path / "out")), nprocs=2)
    alone = figures(create_task(CLASSES), predictions(list(range(CLIPS))))
    alone |= figures(create_task(VALUES), courses(list(range(CLIPS))))
    assert {"uar", "war", "ccc", "ccc/valence", "pearson"} <= alone.keys()
    for rank in range(2):
        found = torch.load(f"{tmp_path / 'out'}{rank}")
        assert [found.pop(name) for name in ("count", "joined classification", "joined dimensions")] == [
            7,
            CLIPS,
            CLIPS,
        ]
        assert found == pytest.approx(alone, abs=1e-15, nan_ok=True)
    halves = [figures(create_task(CLASSES), predictions(list(range(rank, CLIPS, 2)))) for rank in range(2)]
    assert np.mean([half["uar"] for half in halves]) != pytest.approx(alone["uar"], abs=0.01)
