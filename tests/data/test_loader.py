"""The loader: batches that do not depend on workers, resuming at any batch, failures dropped and counted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.waiting import runs, soon

from mien.data.augment import Augmented, Deterministic
from mien.data.dataset import ClipDataset, Failure, Item
from mien.data.loader import Batch, ClipLoader, collate
from mien.data.manifest import Manifest
from mien.data.order import EpochOrder
from mien.data.sampling import EvenViews, RandomWindow
from mien.data.settings import AugmentationSettings
from mien.data.targets import TargetSpec
from mien.errors import MienError, UsageError
from mien.models.specification import Inputs, SoundInput, VideoInput

INPUTS = Inputs(
    video=VideoInput(frames=4, stride=2, size=32, crop=None), sound=SoundInput(rate=8000, features="waveform")
)
TARGETS = TargetSpec(("label",), ("low", "high"))


def training(corpus: Manifest, workers: int = 0, batch: int = 3, **options: object) -> ClipLoader:
    transform = Augmented(INPUTS, AugmentationSettings(contrast=0.2, erase=0.3))
    data = ClipDataset(corpus, corpus.ids, INPUTS, RandomWindow(2), transform, TARGETS, seed=1)
    return ClipLoader(data, EpochOrder(1, len(data), batch), workers, **options)  # type: ignore[arg-type]


def same(one: Batch, other: Batch) -> bool:
    assert one.keys() == other.keys()
    for name, value in one.items():
        equal = torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        if not equal:
            return False
    return True


def test_workers_do_not_change_batches(corpus: Manifest) -> None:
    alone, helped = training(corpus), training(corpus, workers=2)
    for _ in range(2):
        batches = list(zip(alone, helped, strict=True))
        assert len(batches) == len(alone) == 5
        assert all(same(one, other) for one, other in batches)
    assert not same(next(iter(alone)), batches[0][0])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("taken", [0, 1, 4, 5, 7])
def test_goes_on_with_the_very_next_batch(corpus: Manifest, workers: int, taken: int) -> None:
    whole = training(corpus)
    expected = [*whole, *whole][taken:]
    first = training(corpus, workers)
    count = 0
    while count < taken:
        for _ in first:
            count += 1
            if count == taken:
                break
    state = first.state_dict()
    second = training(corpus, workers)
    second.load_state_dict(state)
    got = [*second, *second][: len(expected)]
    assert len(got) == len(expected)
    assert all(same(one, other) for one, other in zip(got, expected, strict=True))


def test_workers_go_on_when_a_signal_reaches_them_too(corpus: Manifest) -> None:
    loader = training(corpus, workers=2)
    before = set(multiprocessing.active_children())
    batches = iter(loader)
    got = [next(batches)]
    workers = set(multiprocessing.active_children()) - before
    assert len(workers) == 2
    for worker in workers:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker.pid or 0, number)
    got += batches
    assert all(same(one, other) for one, other in zip(got, training(corpus), strict=True))
    assert all(worker.is_alive() for worker in workers)


KILLED = """
import os, sys, time
from torch.utils.data import DataLoader
from mien.data import loader

def late(worker):  # settles when the parent is no more
    print(os.getpid(), flush=True)
    while os.getppid() == parent:
        time.sleep(0.01)
    loader._settle(worker)

parent = os.getpid()
ready = iter(DataLoader([bytes(10**6)] * 9, None, num_workers=2, worker_init_fn={settle}))
next(ready)
for worker in ready._workers:
    print(worker.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("settle", ["loader._settle", "late"], ids=["with a batch that nobody takes", "just started"])
def test_workers_end_with_their_killed_parent(settle: str) -> None:
    command = [sys.executable, "-c", KILLED.format(settle=settle)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(runs(worker) for worker in workers)
    parent.kill()
    parent.wait()
    for worker in workers:
        assert soon(lambda pid=worker: not runs(pid))


def test_set_epoch_leaves_the_running_epoch_alone(corpus: Manifest) -> None:
    loader = training(corpus)
    next(iter(loader))
    loader.set_epoch(0)
    assert loader.batch == 1
    loader.set_epoch(3)
    assert (loader.epoch, loader.batch) == (3, 0)


def test_views_share_the_batch_dimension(corpus: Manifest) -> None:
    data = ClipDataset(corpus, corpus.ids, INPUTS, EvenViews(2), Deterministic(INPUTS), TARGETS)
    loader = ClipLoader(data, EpochOrder(0, len(data), 3, shuffle=False, drop_last=False))
    batches = list(loader)
    batch = batches[0]
    assert batch["ids"] == sorted(corpus.ids)[:3]
    assert batch["clip"].tolist() == [0, 0, 1, 1, 2, 2]
    assert batch["video"].shape == (6, 3, 4, 32, 32)
    assert batch["target"].shape == (6,)
    assert [id_ for b in batches for id_ in b["ids"]] == sorted(corpus.ids)


def test_collation_pads_at_the_end() -> None:
    def item(id_: str, frames: int, sound: int) -> Item:
        tensors = {
            "video": torch.ones(3, frames, 2, 2),
            "video_present": torch.ones(frames, dtype=torch.bool),
            "sound": torch.ones(4, sound),
            "times": torch.zeros(frames, dtype=torch.float64),
            "index": torch.zeros(frames, dtype=torch.long),
            "target": torch.ones(frames, 2),
            "length": torch.tensor(frames),
        }
        return Item(id_, (tensors,))

    batch = collate([item("a", 5, 7), Failure("b", "b.mp4", "broken"), item("c", 3, 9)])
    assert batch["ids"] == ["a", "c"]
    assert batch["failures"] == [Failure("b", "b.mp4", "broken")]
    assert batch["video"].shape == (2, 3, 5, 2, 2)
    assert batch["video"][1, :, 3:].abs().sum() == 0
    assert batch["video_present"][1].tolist() == [True] * 3 + [False] * 2
    assert batch["sound"].shape == (2, 4, 9)
    assert batch["index"][1].tolist() == [0, 0, 0, -1, -1]
    assert torch.isnan(batch["times"][1]).tolist() == [False] * 3 + [True] * 2
    assert torch.isnan(batch["target"][1, :, 0]).tolist() == [False] * 3 + [True] * 2
    assert batch["length"].tolist() == [5, 3]


def test_class_targets_over_time_are_padded_as_unlabelled() -> None:
    items = [Item(str(count), ({"target": torch.zeros(count, dtype=torch.long)},)) for count in (2, 4)]
    assert collate(items)["target"].tolist() == [[0, 0, -100, -100], [0, 0, 0, 0]]


def test_a_batch_of_failures_has_no_tensors() -> None:
    batch = collate([Failure("b", "b.mp4", "broken")])
    assert batch["ids"] == []
    assert "video" not in batch
    assert len(batch["failures"]) == 1


def with_broken(corpus: Manifest, folder: Path, count: int) -> Manifest:
    frame = corpus.frame.copy()
    frame["path"] = [str(corpus.root / path) for path in frame["path"]]
    broken = pd.DataFrame({"id": [f"broken{n}" for n in range(count)], "path": [f"{n}.mp4" for n in range(count)]})
    return Manifest(pd.concat([frame, broken.assign(label="low")]), folder)


def test_unreadable_clips_are_left_out_and_counted_once(corpus: Manifest, tmp_path: Path) -> None:
    loader = training(with_broken(corpus, tmp_path, 2), max_unreadable=0.2)
    read = [id_ for _ in range(2) for batch in loader for id_ in batch["ids"]]
    assert not [id_ for id_ in read if id_.startswith("broken")]
    assert set(loader.failures) == {"broken0", "broken1"}
    again = training(with_broken(corpus, tmp_path, 2), max_unreadable=0.2)
    again.load_state_dict(loader.state_dict())
    assert again.failures == loader.failures


def test_too_many_unreadable_clips_stop_the_work(corpus: Manifest, tmp_path: Path) -> None:
    loader = training(with_broken(corpus, tmp_path, 2), max_unreadable=0.1)
    with pytest.raises(MienError, match=r"2 of 10 clips could not be read, more than the 10% .*no such file") as caught:
        list(loader)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_wrong_annotation_ends_the_work_with_one_line(corpus: Manifest, tmp_path: Path, workers: int) -> None:
    wrong = tmp_path / "labels.csv"
    wrong.write_text("time,valence\n0,high\n1,0.2\n")
    frame = corpus.frame.copy()
    frame["path"] = [str(corpus.root / path) for path in frame["path"]]
    frame["labels"] = str(wrong)
    manifest = Manifest(frame, tmp_path)
    spec = TargetSpec(("valence",), level="frame")
    data = ClipDataset(manifest, manifest.ids, INPUTS, RandomWindow(), Deterministic(INPUTS), spec)
    with pytest.raises(UsageError, match=r"labels.csv: valence = 'high' is not a number") as caught:
        next(iter(ClipLoader(data, EpochOrder(0, len(data), 2), workers)))
    assert "\n" not in str(caught.value)


def test_global_generators_are_left_alone(corpus: Manifest) -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(training(corpus))
    assert torch.equal(torch.get_rng_state(), before)
