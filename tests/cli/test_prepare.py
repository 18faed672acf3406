"""``mien prepare``: the whole way with the real detector, killed and started again, and what it refuses."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut
from tests.waiting import runs, soon

from mien.data.manifest import Manifest
from mien.media import VideoReader, VideoWriter


def mien(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import mien.cli; mien.cli.main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def recording(path: Path, shift: int, frames: int = 14) -> Path:
    """A face that drifts, with a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    face = astronaut()
    with VideoWriter(path, (240, 240), 25.0, 16000) as out:
        for number in range(frames):
            left = 60 + shift + 2 * number
            out.write(np.ascontiguousarray(face[:240, left : left + 240]))
        out.write_sound(0.3 * np.sin(np.arange(round(frames / 25 * 16000)) / 5).astype(np.float32))
    return path


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six recordings with a face, one without, one that cannot be read, and a table of targets."""
    folder = tmp_path_factory.mktemp("raw")
    for number in range(6):
        recording(folder / f"{number}.mp4", 5 * number)
    with VideoWriter(folder / "wall.mp4", (240, 240)) as out:
        for _ in range(5):
            out.write(np.full((240, 240, 3), 120, np.uint8))
    (folder / "text.mp4").write_text("not a video")
    rows = [f"{number}.mp4,s{number % 3},{['sad', 'happy'][number % 2]}" for number in range(6)]
    (folder / "table.csv").write_text("\n".join(["path,subject,emotion", *rows, "wall.mp4,s0,sad", "text.mp4,s1,sad"]))
    return folder


@pytest.fixture(scope="module")
def whole(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of an uninterrupted run in one process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = mien("prepare", raw / "table.csv", "--out", out, "--jobs", 1, "--json", "--size", 96)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["clips"], summary["no_face"], summary["failed"]) == (6, 1, 1)
    assert [problem["source"] for problem in summary["without_clips"]] == ["wall.mp4", "text.mp4"]
    return out


def results(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(out).parts)
    }


def test_clips_show_the_face_and_keep_what_is_known(whole: Path) -> None:
    manifest = Manifest.read(whole / "manifest.csv")
    assert list(manifest.column("emotion")) == ["sad", "happy"] * 3
    assert list(manifest.column("subject")) == ["s0", "s1", "s2"] * 2
    for id_ in manifest.ids:
        with VideoReader(manifest.row(id_).path) as video:
            assert len(video) == 14
            assert video.size == (96, 96)
            assert video.info.sound is not None
    assert (manifest.frame["face_share"] == 1.0).all()
    assert manifest.frame["face_score"].min() > 0.9
    assert manifest.frame["face_size"].between(80, 180).all()


def test_number_of_processes_does_not_change_a_byte(raw: Path, whole: Path, tmp_path: Path) -> None:
    done = mien("prepare", raw / "table.csv", "--out", tmp_path / "out", "-j", 3, "--size", 96)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"6 clips of 8 inputs: {tmp_path / 'out/manifest.csv'}"
    # rows of a table with targets stand for one person, who may be seen briefly
    assert re.search(r"1 recording without a face:\n  \S*wall.mp4: no upright face is in sight for 0.3 s", done.stdout)
    assert re.search(r"1 recording that could not be read:\n  \S*text.mp4: ", done.stdout)
    assert results(tmp_path / "out") == results(whole)


@pytest.mark.parametrize(
    ("jobs", "times"),
    [(2, 2), pytest.param(1, 5, marks=pytest.mark.slow), pytest.param(3, 5, marks=pytest.mark.slow)],
)
def test_killed_at_any_moment_it_goes_on_to_the_same_result(
    raw: Path, whole: Path, tmp_path: Path, jobs: int, times: int
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", "import mien.cli; mien.cli.main()", "prepare", str(raw / "table.csv")]
    command += ["--out", str(out), "--size", "96", "--jobs", str(jobs)]
    chance = random.Random(jobs)
    while times:
        if killed(command, out, chance.uniform(0.0, 0.15)):
            times -= 1
        else:
            shutil.rmtree(out)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert results(out) == results(whole)
    assert not list(out.rglob("*.part"))
    assert not (out / ".work").exists()


@pytest.mark.slow
def test_on_ray_killed_driver_and_killed_worker_do_not_change_a_byte(raw: Path, whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "out"
    command = [sys.executable, "-c", "import mien.cli; mien.cli.main()", "prepare", str(raw / "table.csv")]
    command += ["--out", str(out), "--size", "96", "--jobs", "2", "--engine", "ray"]
    while not killed(command, out, 0.0) or progress(out) == 8:
        shutil.rmtree(out)
    left = set((out / ".work").glob("*-*"))
    assert soon(lambda: not any(runs(worker_of(work)) for work in left))  # the cluster ends with its driver
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    at_work: list[Path] = []
    while not at_work and run.poll() is None:
        at_work = [*set((out / ".work").glob("*-*")) - left]
        time.sleep(0.002)
    assert at_work
    os.kill(worker_of(at_work[0]), signal.SIGKILL)
    _, told = run.communicate()
    assert run.returncode == 0, told
    assert results(out) == results(whole)
    assert not (out / ".work").exists()


def progress(out: Path) -> int:
    return len(list((out / ".journal").rglob("*.json")))


def killed(command: list[str], out: Path, later: float) -> bool:
    """Whether a run was killed, ``later`` seconds after it had finished one more source: that falls into the work.
    On a busy machine it may have ended by then."""
    before = progress(out)
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while run.poll() is None and progress(out) <= before:
        time.sleep(0.002)
    time.sleep(later)
    run.kill()
    assert run.wait() in (0, -signal.SIGKILL)
    return run.returncode != 0


def worker_of(work: Path) -> int:
    """The process that works in a folder of ``.work``."""
    return int(work.name.rpartition("-")[2])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gone.mp4", "--out", "out"], 2, "gone.mp4: no such file or folder"),
        (["text.mp4", "--out", "out"], 1, "no clip came of 1 input: "),
        (["empty.csv", "--out", "out"], 2, "the table is empty"),
        (["wall.mp4", "--out", "text.mp4"], 2, "text.mp4 is a file or lies in one"),
        (["wall.mp4", "--out", "out", "--size", "4"], 2, "--size 4: input should be greater than or equal to 16"),
        (["wall.mp4", "--out", "out", "--window", "0,0"], 2, "--window 0,0: give left,top,side in pixels"),
        (["wall.mp4", "--out", "out", "--window", "900,0,99"], 1, "reaches over the edge of pictures"),
        (["wall.mp4", "--out", "out", "--address", "auto"], 2, "--address auto: only a Ray cluster has an address"),
        (["wall.mp4", "--out", "out", "--like", "openface"], 2, "known are avfusion, viper, voxceleb2"),
        (["wall.mp4", "--out", "out", "--openface", "nope"], 2, "nope: no such folder; give where OpenFace wrote"),
        (["wall.mp4", "--out", "out", "--openface", ".", "--margin", "0"], 2, "--margin: says how mien looks for"),
        (["wall.mp4", "--out", "out", "--openface", ".", "--like", "viper"], 2, "--like: says how mien looks for"),
        (["wall.mp4", "--out", "out", "--like", "viper", "--faces", "all"], 2, "search='surest' finds one face"),
        (["wall.mp4", "--out", "out", "--like", "avfusion", "--size", "4"], 2, "--size 4: input should be"),
        (["wall.mp4", "--out", "out", "--faces", "best"], 2, "--faces best: input should be 'auto', 'main' or 'all'"),
    ],
)
def test_refusals_are_one_line(tmp_path: Path, raw: Path, arguments: list[str], code: int, message: str) -> None:
    for name in ("text.mp4", "wall.mp4"):
        (tmp_path / name).write_bytes((raw / name).read_bytes())
    (tmp_path / "empty.csv").write_text("")
    done = mien("prepare", *arguments, "-j", 1, "--json", cwd=tmp_path, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_samples(samples: Path, tmp_path: Path) -> None:
    """Real recordings: sound of its full length, and the face that appears late begins its clip."""
    inputs = [samples / "grid_bbaf2n.mpg", samples / "pyfeat_noface_face.mov"]
    done = mien("prepare", *inputs, "--out", tmp_path / "out", "-j", 1, "--json")
    assert done.returncode == 0, done.stderr
    frame = Manifest.read(tmp_path / "out/manifest.csv").frame.set_index("source")
    assert frame.loc["grid_bbaf2n.mpg", "frames"] == 75
    assert frame.loc["pyfeat_noface_face.mov", "source_start"] == pytest.approx(3.95, abs=0.1)
