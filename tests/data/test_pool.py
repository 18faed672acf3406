"""Work over processes: all results, crashes isolated, nothing left running when the parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import runs, soon

from mien.data import pool
from mien.data.pool import map_processes
from mien.errors import UsageError

CRASH = "__import__('os')._exit(7)"


def test_one_process_works_in_this_one() -> None:
    assert list(map_processes(eval, ["1 + 1", "__import__('os').getpid()"], 1, str)) == [
        ("1 + 1", 2),
        ("__import__('os').getpid()", os.getpid()),
    ]
    with pytest.raises(UsageError):
        list(map_processes(eval, ["1"], 0, str))


def test_every_task_comes_out_once_and_crashes_are_isolated() -> None:
    tasks = [f"{number} * 10" for number in range(9)]
    tasks[4] = CRASH
    results = dict(map_processes(eval, tasks, 2, lambda task: "crashed"))
    assert len(results) == 9
    assert results.pop(CRASH) == "crashed"
    assert sorted(results.values()) == [0, 10, 20, 30, 50, 60, 70, 80]


def test_a_crash_that_is_noticed_while_tasks_are_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a busy machine, where a process may start, crash and be missed between two tasks."""

    class Slow(ProcessPoolExecutor):
        def submit(self, work: Any, task: Any) -> Any:  # type: ignore[override]
            future = super().submit(work, task)
            if task == CRASH:
                wait([future])
            return future

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Slow)
    results = map_processes(eval, ["1", CRASH, "2", "3"], 2, lambda task: "crashed")
    assert dict(results) == {"1": 1, CRASH: "crashed", "2": 2, "3": 3}


def test_torch_works_on_one_thread_whether_the_work_or_the_script_loads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads = "__import__('torch').get_num_threads()"
    assert dict(map_processes(eval, [threads, "0"], 2, str))[threads] == 1


def test_errors_of_the_work_come_out_and_end_it() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_processes(eval, ["1 / 0", "2"], 2, str))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = tmp_path / "script.py"
    script.write_text(
        "from mien.data.pool import map_processes\n"
        "if __name__ == '__main__':\n"
        f"    note = \"open({str(note)!r}, 'w').write(str(__import__('os').getpid()))\"\n"
        "    task = note + \" and __import__('time').sleep(600)\"\n"
        "    list(map_processes(eval, [task, '1'], 2, str))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        assert soon(lambda: note.exists() and note.read_text() != "")
        child = int(note.read_text())
        assert runs(child)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert soon(lambda: not runs(child))
