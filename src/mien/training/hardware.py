"""Where training runs: Lightning Fabric for devices, nodes and precision, checked before anything starts."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed

from mien.errors import MienError, UsageError
from mien.memory import keep_freed_memory
from mien.nn.device import send
from mien.pretext.exchange import summed
from mien.processes import end_after, parent_is_gone
from mien.training.schema import Hardware

T = TypeVar("T")
_FIRST = "MIEN_FIRST_PROCESS"  # its id, for the processes that it starts
KEPT_MEMORY, LARGE_TENSOR = 2**31 - 1, 2**30  # bytes; the largest that glibc takes


def make_fabric(hardware: Hardware, precision: str) -> Fabric:
    """Fabric for ``fp32`` or ``bf16``

    Raises:
        UsageError: the accelerator or that many devices are not there.
    """
    for chatty in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed"):
        logging.getLogger(chatty).setLevel(logging.WARNING)  # the run says what it does
    several = hardware.devices * hardware.nodes > 1
    return Fabric(
        accelerator=choose_accelerator(hardware),
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        # parts of a model may rest in a step (an absent modality); the search for them costs little. Gradients lie
        # where they are exchanged, not twice
        strategy=DDPStrategy(find_unused_parameters=True, gradient_as_bucket_view=True) if several else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )


def launch(fabric: Fabric) -> None:
    """Start the other processes of a run, or join those of a cluster. Those that are started end with this one.

    Without that a process on a graphics card would wait for the first one, and hold its memory, for minutes.
    """
    parent = os.environ.pop(_FIRST, "")
    if parent and sys.platform != "win32":  # it may be no more: this one has loaded much before it came here
        end_after(lambda: parent_is_gone(int(parent)))
    os.environ[_FIRST] = str(os.getpid())
    try:
        fabric.launch()
    finally:
        del os.environ[_FIRST]


@contextmanager
def computing(device: torch.device, threads: int | None = None) -> Iterator[None]:
    """Compute on ``device`` inside a ``with`` block, with ``threads`` of the processor (None: as they are).

    Where the processor is the device, it keeps the memory that it frees.
    """
    if device.type == "cpu":
        keep_freed_memory(KEPT_MEMORY, LARGE_TENSOR)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_accelerator(hardware: Hardware) -> str:
    """``cpu``, ``cuda`` or ``mps``; refuses what this machine does not have."""
    found = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    name = hardware.accelerator
    if name == "auto":
        name = next((kind for kind in ("cuda", "mps") if found[kind]), "cpu")
    if name != "cpu" and not found[name]:
        raise UsageError(f"hardware.accelerator={name!r}: this machine has none; use auto or cpu")
    if name != "cpu" and hardware.devices > found[name]:
        raise UsageError(f"hardware.devices={hardware.devices}: this machine has {found[name]} of {name}; use fewer")
    return name


def choose_precision(precision: str, accelerator: str) -> str:
    """``fp32`` or ``bf16``; ``auto`` is bf16 where the processor multiplies it natively."""
    if precision != "auto":
        return precision
    if accelerator == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        features = torch.cpu.get_capabilities() if accelerator == "cpu" else {}
        native = bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return "bf16" if native else "fp32"


def on_every_process(fabric: Fabric, work: Callable[[], T]) -> T:
    """Run ``work`` on all processes; where it fails on one, all stop and the first process alone says why."""
    value, problem = None, None
    try:
        value = work()
    except MienError as error:
        problem = error
    first = next((one for one in gather(fabric, problem) if one is not None), None)
    if first is not None:
        raise said_once(fabric, first)
    return value  # type: ignore[return-value]


def said_once(fabric: Fabric, error: MienError) -> BaseException:
    """What to raise for an error that all processes have: the first one says it, the others end without a word."""
    # with another exit code than 0 Lightning would kill the first process before it has spoken
    return error if fabric.is_global_zero else SystemExit(0)


def gather(fabric: Fabric, value: T) -> list[T]:
    """The value of every process, in order of rank, on every process. Values must be small: they are pickled."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    distributed.all_gather_object(values, value)
    return values


def total(fabric: Fabric, values: list[float]) -> list[float]:
    """Sums over all processes."""
    if fabric.world_size == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64)
    return summed(tensor if _gloo() else send(tensor, fabric.device))[0].tolist()


def fetch(values: Tensor) -> list[float]:
    """The numbers in a tensor ``(N,)``. A step does this once: the processor then waits for all that it has asked for.

    A test holds that nothing else in a step waits.
    """
    return values.cpu().tolist()


def _gloo() -> bool:
    return distributed.get_backend() == "gloo"


def is_first_process() -> bool:
    """True in the one process that speaks for all."""
    return not distributed.is_initialized() or distributed.get_rank() == 0
