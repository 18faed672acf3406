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
    parts: list[Predictions | None] = [None, None]
    distributed.all_gather_object(parts, predictions(own))
    joined = Predictions.join([part for part in parts if part is not None])
    torch.save(
        {"count": len(own), "joined": len(joined.clips), **figures(create_task(CLASSES), joined)}, f"{out}{rank}"
    )
    distributed.destroy_process_group()


def test_two_processes_judge_as_one(tmp_path: Path) -> None:
    multiprocessing.spawn(judge_a_part, (str(tmp_path / "meeting"), str(tmp_path / "out")), nprocs=2)
    alone = figures(create_task(CLASSES), predictions(list(range(CLIPS))))
    for rank in range(2):
        found = torch.load(f"{tmp_path / 'out'}{rank}")
        assert (found.pop("count"), found.pop("joined")) == (7, CLIPS)
        assert found == pytest.approx(alone, abs=1e-15)
    halves = [figures(create_task(CLASSES), predictions(list(range(rank, CLIPS, 2)))) for rank in range(2)]
    assert np.mean([half["uar"] for half in halves]) != pytest.approx(alone["uar"], abs=0.01)
