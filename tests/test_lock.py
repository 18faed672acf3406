"""One writer at a time, told apart from a dead one; readers, forked children and drives without locks."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mien import lock
from mien.errors import MienError, UsageError
from mien.lock import alone, entries, refuse_if_held

if sys.platform == "win32":
    pytest.skip("nothing is locked on Windows", allow_module_level=True)
import fcntl

HOLD = """
import os, sys
from mien.lock import alone
with alone(sys.argv[1]):
    {}
    print('held', flush=True)
    sys.stdin.read()  # until the test is over
"""
FORK = """
    begun, tell = os.pipe()
    if os.fork() == 0:
        os.write(tell, b'!')
        os._exit(len(sys.stdin.read()))  # when the test is over
    os.read(begun, 1)
"""
Holder = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def holder() -> Iterator[Holder]:
    """``holder(folder)`` starts a process that holds it; ``then`` is run first in it."""
    started = []

    def start(folder: Path, then: str = "pass") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD.format(then), str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_another_process_is_named_and_a_killed_one_holds_nobody_off(tmp_path: Path, holder: Holder) -> None:
    run = tmp_path / "runs" / "one"
    process = holder(run)
    for ask in (lambda: alone(run).__enter__(), lambda: refuse_if_held(run)):
        with pytest.raises(UsageError) as caught:
            ask()
        said = str(caught.value)
        assert f"one is being written by process {process.pid} on {socket.gethostname()} (since 2" in said
        assert "wait until that ends or stop it" in said
        assert "\n" not in said
    (run / "kept").write_text("")
    assert [path.name for path in entries(run)] == ["kept"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (run / ".lock").exists()
    refuse_if_held(run)
    with alone(run):
        assert f"process {os.getpid()} on" in (run / ".lock").read_text()
        with pytest.raises(UsageError, match=f"process {os.getpid()} "), alone(run):
            pass
    assert [path.name for path in run.iterdir()] == ["kept"]


def test_forked_children_do_not_keep_it(tmp_path: Path, holder: Holder) -> None:
    process = holder(tmp_path, FORK)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with alone(tmp_path):
        pass


def test_folders_that_nothing_was_written_into_go_again(tmp_path: Path) -> None:
    with alone(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run" / ".lock").is_file()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("kept")
    with pytest.raises(MienError, match=r"file/run is a file or lies in one"), alone(tmp_path / "file" / "run"):
        pass


def test_a_removed_lock_is_not_taken_for_one_that_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder leaves between our opening the file and locking it: what we hold then has no name any more."""
    first = alone(tmp_path)
    first.__enter__()
    real, opened = fcntl.flock, []

    def flock(handle: int, how: int) -> None:
        opened.append(handle)
        if len(opened) == 1:
            first.__exit__(None, None, None)
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone(tmp_path):
        assert len(opened) == 2
        assert (tmp_path / ".lock").is_file()


def test_drives_without_locks_are_held_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive, elsewhere = tmp_path / "drive", tmp_path / "elsewhere"
    elsewhere.mkdir()
    real = fcntl.flock

    def flock(handle: int, how: int) -> None:
        if os.path.samestat(os.fstat(handle), os.stat(drive / ".lock")) if (drive / ".lock").exists() else False:
            raise OSError(errno.ENOLCK, "no locks available")
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(lock.tempfile, "gettempdir", lambda: str(elsewhere))
    with alone(drive):
        assert [path.name for path in drive.iterdir()] == []
        assert len(list(elsewhere.iterdir())) == 1
        with pytest.raises(UsageError, match=f"drive is being written by process {os.getpid()}"), alone(drive):
            pass
        with pytest.raises(UsageError, match="drive is being written"):
            refuse_if_held(drive)
    assert list(elsewhere.iterdir()) == []
