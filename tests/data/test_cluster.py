"""Work over Ray: every task comes out once; one whose worker dies twice is told as such, the others are done."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from tests.waiting import soon

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
    with socket.socket() as free:  # for all others Ray finds ports of its own: another cluster may run on this machine
        free.bind(("127.0.0.1", 0))
        client = free.getsockname()[1]
    ports = ["--port=0", f"--ray-client-server-port={client}", "--min-worker-port=0", "--max-worker-port=0"]
    with TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as short:  # paths of sockets must not be long
        noted = Path(short, "ray_current_cluster")
        options = [*ports, "--node-ip-address=127.0.0.1", f"--temp-dir={short}"]
        options += ["--num-cpus=1", "--include-dashboard=false"]
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options]
        head = subprocess.Popen(ray, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert soon(lambda: noted.exists() or head.poll() is not None)
            assert head.poll() is None, "the cluster did not start"
            connect = [sys.executable, "-c", CONNECT, noted.read_text()]
            done = subprocess.run(connect, env=environment, capture_output=True, text=True, check=False)
        finally:
            head.terminate()
            head.wait()
    assert done.stdout.strip() == "42", done.stderr


@pytest.mark.slow
def test_every_task_comes_out_once_and_crashes_are_isolated() -> None:
    results = map_cluster(eval, ["0", CRASH, "20"], 1, None, lambda task: "crashed")
    assert dict(results) == {"0": 0, CRASH: "crashed", "20": 20}
    with pytest.raises(MienError, match=r"a Ray worker cannot do its work \(.*division by zero"):
        list(map_cluster(eval, ["1 / 0"], 1, None, str))


@pytest.mark.parametrize(
    ("address", "note"),
    [("auto", False), ("auto", True), ("127.0.0.1:{port}", False), ("ray://localhost:{port}", False)],
)
def test_a_cluster_that_is_not_there_is_refused(
    address: str, note: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, too: Ray itself asks a place where nothing listens for many minutes."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", set)  # clusters of others on this machine
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # a port that nobody else gets meanwhile, and where nothing listens
        port = silent.getsockname()[1]
        if note:
            (tmp_path / "ray").mkdir()
            (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
        address = address.format(port=port)
        with pytest.raises(UsageError, match=rf"--address '{address}': no Ray cluster that can be used"):
            list(map_cluster(eval, ["1"], 1, address, str))
