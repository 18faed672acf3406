"""Work over Ray: every task comes out once; one whose worker dies twice is told as such, the others are done."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from mien.data.cluster import map_cluster
from mien.errors import MienError, UsageError

pytest.importorskip("ray")
CRASH = "__import__('os')._exit(7)"


# in a process of its own, since Ray connects a process once and for all
CONNECT = """
import sys
from mien.data.cluster import map_cluster
if __name__ == "__main__":
    print(sum(result for _, result in map_cluster(eval, ["20", "22"], None, sys.argv[1], len)))
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("guarded", [False, True], ids=["open", "asks for a token"])
def test_a_running_cluster_does_the_work(guarded: bool, tmp_path: Path) -> None:
    """With what `ray start` sets up by itself: where a token is kept, its cluster asks for it."""
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    if guarded:
        (home / ".ray" / "auth_token").write_text(uuid4().hex)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment |= {"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"}
    port = free_port()
    with TemporaryDirectory(prefix="ray") as short:  # paths of sockets must not be long
        options = [f"--port={port}", f"--temp-dir={short}", "--num-cpus=1", "--include-dashboard=false"]
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options]
        head = subprocess.Popen(ray, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port, head)
            connect = [sys.executable, "-c", CONNECT, f"127.0.0.1:{port}"]
            done = subprocess.run(connect, env=environment, capture_output=True, text=True, timeout=120, check=False)
        finally:
            head.terminate()
            head.wait(60)
    assert done.stdout.strip() == "42", done.stderr


def wait_for(port: int, head: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert head.poll() is None, "the cluster did not start"
        time.sleep(0.1)
    pytest.fail("the cluster did not start in a minute")


@pytest.mark.slow
def test_every_task_comes_out_once_and_crashes_are_isolated() -> None:
    tasks = ["0", CRASH, "20", "__import__('time').sleep(9) or 1 / 0"]
    results = map_cluster(eval, tasks, 1, None, lambda task: "crashed")
    assert dict(next(results) for _ in range(3)) == {"0": 0, CRASH: "crashed", "20": 20}
    with pytest.raises(MienError, match=r"a Ray worker cannot do its work \(.*division by zero"):
        next(results)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:{port}", "ray://localhost:{port}"])
def test_a_cluster_that_is_not_there_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, too: Ray itself asks a place where nothing listens for many minutes."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where no cluster of somebody else has left its address
    address = address.format(port=free_port())
    with pytest.raises(UsageError, match=rf"--address '{address}': no Ray cluster that can be used"):
        list(map_cluster(eval, ["1"], 1, address, str))
