"""Preparation: clips per second and how many seconds of video a second cuts, over processes and over Ray.

    python benchmarks/prepare.py [--videos 16] [--source talk.mp4] [--json prepare.json]

Every way prepares the same recordings into a folder of its own; the time is that of the whole call: starting processes
or a cluster, loading the detector, cutting, writing. The baseline is the published way of working, which searches every
picture for faces by itself, in one process with the same detector. The other ways follow faces, and must give the same
bytes as each other, or it fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mien.data.prepare import prepare
from mien.data.settings import PrepareSettings
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.media import probe

BASELINE = "every picture searched"


def recordings(folder: Path, count: int, source: Path | None) -> Path:
    """Copies of a given recording, or films of animated faces."""
    if source is None:
        synthesise(folder, SyntheticSettings(clips=count, subjects=count, seconds=4.0, fps=25, size=320))
        return folder / "clips"
    folder.mkdir()
    for number in range(count):
        shutil.copy(source, folder / f"{number:03d}{source.suffix}")
    return folder


def contents(out: Path) -> dict[str, bytes]:
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    names = {path.relative_to(out): path for path in files}
    return {str(name): path.read_bytes() for name, path in names.items() if not name.parts[0].startswith(".")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--source", type=Path, help="a recording to copy; default: films of animated faces")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    plain = {"jobs": 1, "settings": PrepareSettings(search="largest")}
    ways: dict[str, dict[str, Any]] = {BASELINE: plain, "1 process": {"jobs": 1}, "2 processes": {"jobs": 2}}
    if find_spec("ray"):
        ways |= {f"Ray, {jobs} at once": {"jobs": jobs, "engine": "ray"} for jobs in (1, 2)}
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        raw = recordings(folder / "raw", options.videos, options.source)
        seconds = sum(probe(path).duration for path in raw.rglob("*") if path.is_file() and path.suffix != ".csv")
        print(f"{options.videos} recordings, {seconds:.0f} s in all")
        print(f"{'':22} {'clips/s':>8} {'x realtime':>11} {'x baseline':>11}")
        for name, choice in ways.items():
            begun = time.perf_counter()
            report = prepare([raw], folder / name, **choice)
            took = time.perf_counter() - begun
            rows[name] = {"seconds": took, "clips_per_second": report.clips / took, "realtime": seconds / took}
            ratio = rows[name]["ratio"] = rows[BASELINE]["seconds"] / took
            print(f"{name:22} {report.clips / took:8.2f} {seconds / took:11.2f} {ratio:11.2f}", flush=True)
            if name != BASELINE and contents(folder / name) != contents(folder / "1 process"):
                raise SystemExit(f"{name}: other bytes than in one process")
    if options.json:
        options.json.write_text(
            json.dumps({"videos": options.videos, "seconds": seconds, "ways": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
