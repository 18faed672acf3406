"""Work over the machines of a Ray cluster, with the same promises as over processes."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mien.errors import MienError, UsageError

T = TypeVar("T")
R = TypeVar("R")

_STORE = 80 * 2**20  # bytes for results under way, which are small; by default Ray takes a third of the memory
_TRIES_MORE = 1
_TOKEN = "~/.ray/auth_token"  # where Ray keeps it


def map_cluster(
    work: Callable[[T], R], tasks: Sequence[T], jobs: int | None, address: str | None, crashed: Callable[[T], R]
) -> Iterator[tuple[T, R]]:
    """Results of ``work(task)`` as they come, from the workers of a Ray cluster.

    A task whose worker or machine dies is done once more on another; if that dies too, ``crashed(task)`` is its result.
    Every machine needs mien, and sees the same files under the same names.

    Args:
        work: importable, as for ``mien.data.pool.map_processes``.
        tasks: picklable.
        jobs: most tasks at once; None: as many as the cluster has processors.
        address: of a running cluster (``auto``, ``10.0.0.1:6379``, ``ray://head:10001``); None starts one on this
            machine that ends with this process.
        crashed: what stands for a task that cannot be done.

    Raises:
        UsageError: Ray is not installed, or nothing answers at ``address``.
        MienError: the workers cannot run mien.
    """
    if address is not None:
        _show_token()
    ray = _import_ray()
    with _connected(ray, jobs, address):
        once = ray.remote(num_cpus=1, max_retries=_TRIES_MORE, scheduling_strategy="SPREAD")(_on_one_thread)
        shared = ray.put(work)
        waiting = iter(tasks)
        pending: dict[Any, T] = {}
        while True:
            room = jobs or int(ray.cluster_resources().get("CPU", 1))
            while len(pending) < 2 * room and (task := next(waiting, None)) is not None:
                pending[once.remote(shared, task)] = task
            if not pending:
                return
            for done in ray.wait(list(pending), num_returns=1)[0]:
                task = pending.pop(done)
                yield task, _result(ray, done, task, crashed)


def _result(ray: Any, done: Any, task: T, crashed: Callable[[T], R]) -> R:
    try:
        result: R = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        reason = str(error.cause or error).strip().splitlines()[-1]
        raise MienError(f"a Ray worker cannot do its work ({reason}); install the same mien on every machine") from None
    except ray.exceptions.RayError:
        return crashed(task)
    return result


def _on_one_thread(work: Callable[[T], R], task: T) -> R:
    """As in a process of the pool: small networks on many threads in many workers make all of them wait."""
    import torch

    torch.set_num_threads(1)
    return work(task)


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "Ray is not installed; pip install 'mien[ray]' on every machine, or use --engine processes"
        ) from error
    return ray


@contextmanager
def _connected(ray: Any, jobs: int | None, address: str | None) -> Iterator[None]:
    local = {"num_cpus": jobs, "object_store_memory": _STORE, "include_dashboard": False} if address is None else {}
    try:
        _knock(ray, address or "")
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            f"--address {address!r}: no Ray cluster that can be used ({reason}); start one with `ray start --head`, "
            f"copy {_TOKEN} from the machine that did if its cluster asks for a token, or leave the address out"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _show_token() -> None:
    """Have Ray show a cluster the token that it keeps: `ray start` asks for one wherever there is one, and a program
    that connects shows none by itself. Clusters that ask for none don't mind."""
    kept = (
        os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH") or Path(_TOKEN).expanduser().exists()
    )
    if kept:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _knock(ray: Any, address: str) -> None:
    """Raise ``OSError`` where nothing listens at HOST:PORT: Ray itself goes on asking for many minutes.

    ``auto`` leads to where a cluster was, too, when its machine was switched off and left a note of it.
    """
    if address == "auto":
        address = str(ray._private.services.get_ray_address_from_environment(address, None))
    if place := re.fullmatch(r"(?:ray://)?([^/:]+):(\d+)", address):
        socket.create_connection((place[1], int(place[2])), timeout=10).close()
