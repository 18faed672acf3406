"""Children end with their parent: asked first where they can stop by themselves, and only once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

# the time of grace stands still until a child that can be asked has been asked, however busy the machine is
CHILD = """
import itertools, os, signal, time, types
from mien import processes
asked, clock = [], itertools.count()
def ask(*_):
    os.write(1, b'asked\\n')  # it may come while the number is being printed
    asked.append(True)
def monotonic():
    return next(clock) / 10 if asked or not {handler} else 0.0
processes.time = types.SimpleNamespace(monotonic=monotonic, sleep=time.sleep)
if {handler}:
    signal.signal(signal.SIGTERM, ask)
parent = os.getppid()
processes.end_after(lambda: {gone}, {grace})
print(os.getpid(), flush=True)
for _ in range(1200):
    time.sleep(0.1)  # signals are heard between two of them
print('nobody ended it')
"""


def child(**how: object) -> list[str]:
    return [sys.executable, "-c", CHILD.format(**how)]


@pytest.mark.parametrize(("handler", "grace", "said"), [(True, 0.5, "asked\n"), (False, 0.5, ""), (True, 0.0, "")])
def test_a_closed_pipe_ends_it(handler: bool, grace: float, said: str) -> None:
    command = child(handler=handler, grace=grace, gone="os.read(0, 1)")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    assert process.poll() is None
    process.stdin.close()
    assert process.stdout.read() == said
    assert process.wait() == 1


@pytest.mark.skipif(sys.platform == "win32", reason="does not tell a child that its parent has ended")
def test_it_sees_that_its_parent_was_killed() -> None:
    command = child(handler=False, grace=0.0, gone="processes.parent_is_gone(parent)")
    between = f"import subprocess; subprocess.run({command!r})"
    parent = subprocess.Popen([sys.executable, "-c", between], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.send_signal(signal.SIGKILL)
    assert parent.stdout.read() == ""  # ends when the child, which holds the other end, has
    parent.wait()
