"""Batches from worker processes: unreadable clips left out and counted, resumable at any batch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, default_collate

from mien.data.annotation import UNLABELLED
from mien.data.dataset import ClipDataset, Failure, Item
from mien.data.memory import Slots, light
from mien.data.order import EpochOrder, Key
from mien.errors import MienError
from mien.memory import keep_freed_memory
from mien.processes import end_after, parent_is_gone

Batch = dict[str, Any]

_FILL: dict[str, float] = {"times": float("nan"), "index": -1.0}


def collate(
    items: Sequence[Item | Failure | MienError], stack: Callable[[list[Tensor]], Any] = default_collate
) -> Batch:
    """Batch of what could be read; ``stack`` puts tensors of one shape together. ``collate_fn`` for loaders of torch.

    Returns:
        every tensor of the views with a batch dimension (shorter ones padded at the end with zeros; ``target`` and
        ``times`` with NaN or -100, ``index`` with -1, masks with False); ``ids`` list of the clips read; ``clip`` int64
        ``(B,)``: which of ``ids`` a view belongs to; ``failures`` list of ``Failure``. Where nothing could be read,
        ``ids`` is empty and there are no other tensors.

    Raises:
        UsageError: the annotation of a clip is wrong.
    """
    for item in items:
        if isinstance(item, MienError):
            raise item
    read = [item for item in items if isinstance(item, Item)]
    batch: Batch = {
        "ids": [item.id for item in read],
        "failures": [item for item in items if isinstance(item, Failure)],
        "clip": torch.tensor([number for number, item in enumerate(read) for _ in item.views], dtype=torch.long),
    }
    views = [view for item in read for view in item.views]
    if views:
        batch |= {key: _stack(key, [view[key] for view in views], stack) for key in views[0]}
    return batch


class _Collate:
    """The batch, or the first error that ends the work."""

    def __init__(self, workers: int) -> None:
        self._slots = Slots(workers)

    def __call__(self, items: Sequence[Item | Failure | MienError]) -> Batch | MienError:
        try:
            batch = collate(items, self._slots.stack)
        except MienError as error:
            return error
        return {key: light(value) for key, value in batch.items()}


def _stack(key: str, tensors: list[Tensor], stack: Callable[[list[Tensor]], Any]) -> Any:
    if len({tensor.shape for tensor in tensors}) == 1:
        return stack(tensors)
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    fill = _FILL.get(key, 0.0)
    if key == "target":
        fill = float("nan") if tensors[0].is_floating_point() else UNLABELLED
    padded = tensors[0].new_full((len(tensors), *shape), fill)
    for row, tensor in zip(padded, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return padded


class ClipLoader:
    """Batches of a dataset in the order of ``EpochOrder``, read ahead by worker processes.

    Every ``iter`` gives the rest of the current epoch; the next one goes on with the next epoch. ``state_dict`` counts
    the batches handed out, not those that workers have read ahead, so a loader that loads it goes on with the very
    next batch.

    Args:
        dataset: what items are read from.
        order: which items make which batch.
        workers: processes that read; 0 reads in this one. Batches do not depend on it.
        max_unreadable: share of the dataset's clips that may be unreadable before work stops; None never stops.
        pin_memory: hand batches out in page-locked memory, for copying to a GPU.
        prefetch: batches that each worker reads ahead.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        order: EpochOrder,
        workers: int = 0,
        max_unreadable: float | None = 0.02,
        pin_memory: bool = False,
        prefetch: int = 2,
    ) -> None:
        self.dataset = dataset
        self.order = order
        self.max_unreadable = max_unreadable
        self.epoch = 0
        self.batch = 0
        self.failures: dict[str, Failure] = {}
        self._sampler = _Batches(order)
        self._loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=self._sampler,
            num_workers=workers,
            collate_fn=_Collate(workers),
            worker_init_fn=_settle,
            persistent_workers=workers > 0,
            prefetch_factor=prefetch if workers > 0 else None,
            pin_memory=pin_memory,
            # Of its own, so that starting workers draws nothing from the generator that dropout uses.
            generator=torch.Generator().manual_seed(order.seed),
        )

    def __len__(self) -> int:
        """Batches of a whole epoch on this process."""
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:
        """The rest of the current epoch.

        Raises:
            UsageError: the annotation itself is wrong.
            MienError: more clips than ``max_unreadable`` allows could not be read.
        """
        self._sampler.start(self.epoch, self.batch)
        with _deaf():
            batches = iter(self._loader)
        _workers.update(getattr(batches, "_workers", ()))
        for batch in batches:
            if isinstance(batch, MienError):
                raise batch
            self.batch += 1
            self._count(batch["failures"])
            yield batch
            del batch  # two of them would be in memory while the next one is read
        self.epoch, self.batch = self.epoch + 1, 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch, unless it is the one that is under way."""
        if epoch != self.epoch:
            self.epoch, self.batch = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Epoch, batches handed out, and what could not be read so far."""
        failures = [(failure.id, failure.path, failure.reason) for failure in self.failures.values()]
        return {"epoch": self.epoch, "batch": self.batch, "failures": failures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken."""
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])
        self.failures = {values[0]: Failure(*values) for values in state["failures"]}

    def _count(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            self.failures.setdefault(failure.id, failure)
        if self.max_unreadable is None or len(self.failures) <= self.max_unreadable * len(self.dataset.ids):
            return
        first = next(iter(self.failures.values()))
        raise MienError(
            f"{len(self.failures)} of {len(self.dataset.ids)} clips could not be read, more than the "
            f"{self.max_unreadable:.0%} allowed; the first: {first.reason}"
        )


class _Batches(Sampler[list[Key]]):
    """Hands the order to torch's loader, from a given batch on."""

    def __init__(self, order: EpochOrder) -> None:
        self._order = order
        self.start(0, 0)

    def start(self, epoch: int, batch: int) -> None:
        self._epoch, self._first = epoch, batch

    def __iter__(self) -> Iterator[list[Key]]:
        return self._order.batches(self._epoch, self._first)

    def __len__(self) -> int:
        return len(self._order) - self._first


def _settle(worker: int) -> None:
    """Set up a worker: one thread, since small tensor work on many threads in many workers makes all of them wait, and
    freed memory kept: over a third of a worker's time went to the system's zeroing of pages.

    It ends with its parent. By torch's own watch it would wait for ever where a batch fills the pipe that nobody reads.
    """
    parent = os.getppid()
    end_after(lambda: parent_is_gone(parent))
    torch.set_num_threads(1)
    keep_freed_memory(2**29)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started here never hear SIGINT and SIGTERM, which terminals and clusters send to a whole group.

    Which of them stops the work is for this process to say: a worker that left by itself would show as an error in the
    middle of whatever this process does. Workers end with this process, however it ends: torch has them watch it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_workers: WeakSet[BaseProcess] = WeakSet()


def _end_workers() -> None:
    """At exit, when torch has asked them to leave: those that are stuck don't hear multiprocessing ask again."""
    stuck = [worker for worker in _workers if worker.is_alive()]
    if stuck:
        # torch reports every worker that is ended by a signal
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for worker in stuck:
        worker.kill()


Finalize(None, _end_workers, exitpriority=0)
