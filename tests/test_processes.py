"""Children end with their parent: asked first where they can stop by themselves, and only once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

CHILD = """
import os, signal, sys, time
from mien.processes import end_after, parent_is_gone
if {handler}:
    signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))
end_after(lambda: {gone}, {grace})
print(os.getpid(), flush=True)
time.sleep(60)
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
    assert process.wait(timeout=30) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="does not tell a child that its parent has ended")
def test_it_sees_that_its_parent_was_killed() -> None:
    command = child(handler=False, grace=0.0, gone="parent_is_gone(os.getppid())")
    between = f"import subprocess; subprocess.run({command!r})"
    parent = subprocess.Popen([sys.executable, "-c", between], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.send_signal(signal.SIGKILL)
    assert parent.stdout.read() == ""  # ends when the child, which holds the other end, has
    parent.wait()
