"""Work over Ray: every task comes out once; one whose worker dies twice is told as such, the others are done."""

from __future__ import annotations

import socket

import pytest

from mien.data.cluster import map_cluster
from mien.errors import MienError, UsageError

pytest.importorskip("ray")
CRASH = "__import__('os')._exit(7)"


@pytest.mark.slow
def test_every_task_comes_out_once_and_crashes_are_isolated() -> None:
    tasks = ["0", CRASH, "20", "__import__('time').sleep(9) or 1 / 0"]
    results = map_cluster(eval, tasks, 1, None, lambda task: "crashed")
    assert dict(next(results) for _ in range(3)) == {"0": 0, CRASH: "crashed", "20": 20}
    with pytest.raises(MienError, match=r"a Ray worker cannot do its work \(.*division by zero"):
        next(results)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:{port}", "ray://localhost:{port}"])
def test_a_cluster_that_is_not_there_is_refused(address: str) -> None:
    """At once, too: Ray itself asks a place where nothing listens for many minutes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = address.format(port=free.getsockname()[1])
    with pytest.raises(UsageError, match=rf"--address '{address}': no Ray cluster that can be used"):
        list(map_cluster(eval, ["1"], 1, address, str))
