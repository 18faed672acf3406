"""Memory that is used again, batch after batch.

A clip of 16 frames at 160 px is five megabytes of floats. Fresh memory of that size is handed out by the system page by
page, zeroed: that costs as much as decoding the clip, once in the worker and once more in whoever finishes the batch.
Here memory goes back to its owner when the last tensor that looks at it is gone, so a batch may be kept for as long as
anybody likes.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info

WORTH = 2**20  # bytes from which on memory is used again
_KEPT = 4  # pieces that a process keeps for itself
_SLOTS = 8  # pieces that a worker shares at most; a batch that finds none free goes the usual way


def lent(memory: Tensor, shape: Sequence[int], dtype: torch.dtype, back: Callable[..., object], *told: Any) -> Tensor:
    """A tensor on bytes ``(N,)`` of the processor; ``back(*told)`` is called when it and all its views are gone."""
    count = math.prod(shape) * dtype.itemsize
    # torch holds the array itself for as long as the storage lives, so the array's end is that of all views
    array = memory.numpy()[:count].view()
    weakref.finalize(array, back, *told).atexit = False
    return torch.from_numpy(array).view(dtype).view(*shape)


class Pool:
    """Memory of this process: ``empty`` is ``torch.empty`` on memory that an earlier tensor has left."""

    def __init__(self) -> None:
        self._idle: list[Tensor] = []

    def empty(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of the processor with anything in it."""
        size = math.prod(shape) * dtype.itemsize
        if size < WORTH:
            return torch.empty(tuple(shape), dtype=dtype)
        fitting = [number for number, memory in enumerate(self._idle) if size <= memory.numel() <= 2 * size]
        # the one used last, which the processor's caches still hold
        memory = self._idle.pop(fitting[-1]) if fitting else torch.empty(size, dtype=torch.uint8)
        return lent(memory, shape, dtype, self._back, memory)

    def _back(self, memory: Tensor) -> None:
        self._idle = [*self._idle[1 - _KEPT :], memory]


POOL = Pool()


class Slots:
    """Memory that each worker of a loader shares with the process that takes its batches.

    A worker writes a batch into a piece that is free, and sends its number; what is sent the first time is the memory
    itself. When the batch is gone on the other side, the piece is free again.

    Args:
        workers: number of workers.
    """

    def __init__(self, workers: int) -> None:
        self._taken = torch.zeros(max(workers, 1), _SLOTS, dtype=torch.int32).share_memory_()
        self._memory: dict[tuple[int, int], Tensor] = {}
        self._process = os.getpid()
        self._name = id(self)
        _SLOTS_OF[self._name] = self

    def stack(self, tensors: Sequence[Tensor]) -> Any:
        """Tensors of one shape in one; in a worker, what is worth it becomes something that arrives as that tensor."""
        worker = get_worker_info()
        first = tensors[0]
        shape = (len(tensors), *first.shape)
        size = math.prod(shape) * first.dtype.itemsize
        if worker is None or size < WORTH or os.getpid() == self._process:
            return default_collate(list(tensors))  # straight into memory that torch shares
        slot = next((slot for slot in range(_SLOTS) if not self._taken[worker.id, slot]), None)
        if slot is None:
            return default_collate(list(tensors))  # straight into memory that torch shares
        self._taken[worker.id, slot] = 1
        memory = self._memory.get((worker.id, slot))
        new = memory is None or memory.numel() < size
        if memory is None or new:
            memory = self._memory[worker.id, slot] = torch.empty(size, dtype=torch.uint8).share_memory_()
        rows = memory[:size].view(first.dtype).view(shape)
        for row, tensor in zip(rows, tensors, strict=True):
            row.copy_(tensor)
        return _Sent(self._name, (worker.id, slot), shape, first.dtype, memory if new else None)

    def receive(self, place: tuple[int, int], shape: Sequence[int], dtype: torch.dtype, new: Tensor | None) -> Tensor:
        """What a worker has sent."""
        if new is not None:
            self._memory[place] = new
        return lent(self._memory[place], shape, dtype, _free, self._taken, place)


_SLOTS_OF: weakref.WeakValueDictionary[int, Slots] = weakref.WeakValueDictionary()


def _free(taken: Tensor, place: tuple[int, int]) -> None:
    taken[place] = 0


def light(tensor: Tensor) -> Any:
    """In a worker, a small tensor by value; everything else as it is.

    torch gives every tensor between processes memory of its own, whose handle is asked for over a socket: for a few
    numbers that costs both sides more than the numbers do.
    """
    small = get_worker_info() is not None and isinstance(tensor, Tensor) and tensor.nbytes < WORTH
    return _Light(tensor) if small else tensor


class _Light:
    """A small tensor on its way: unpickled, it is the tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.from_numpy, (self._tensor.numpy(),)


class _Sent:
    """A batch's tensor on its way: unpickled, it is the tensor."""

    def __init__(self, *told: Any) -> None:
        self._told = told

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, self._told


def _receive(name: int, *told: Any) -> Tensor:
    return _SLOTS_OF[name].receive(*told)
