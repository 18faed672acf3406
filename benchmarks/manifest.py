"""Opening, dividing and starting an epoch of a manifest with 100,000 clips, in seconds and highest resident memory.

    python benchmarks/manifest.py [--clips 100000] --json manifest.json

The work is done in a process of its own, which starts with importing; the baseline is the same process that only
imports and reads the table with pandas. All rows show the same few synthetic clips, since files are not what is
measured; ids, people, groups, splits and labels are all different. Goal: 10 s and 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from mien.data.manifest import Manifest
from mien.data.synthetic import SyntheticSettings, synthesise

GOAL_SECONDS, GOAL_MIB = 10.0, 1024.0


def write(folder: Path, clips: int) -> Path:
    """A manifest of ``clips`` rows of ``clips / 50`` people."""
    films = synthesise(
        folder / "films", SyntheticSettings(clips=14, subjects=7, seconds=1.6, fps=10, size=64), workers=1
    )
    rng = np.random.default_rng(0)
    paths = [str(films.row(id_).path) for id_ in films.ids]
    people = rng.integers(0, clips // 50, clips)
    frame = pd.DataFrame(
        {
            "id": [f"clip-{at:07}" for at in range(clips)],
            "path": [paths[at % len(paths)] for at in range(clips)],
            "subject": [f"p{person:05}" for person in people],
            "group": [f"v{video:06}" for video in np.arange(clips) // 5 * 10 + people % 10],
            "split": np.where(people % 10 < 8, "train", np.where(people % 10 == 8, "validation", "test")),
            "label": rng.choice(["happy", "sad", "neutral"], clips),
            "valence": rng.uniform(-1, 1, clips).round(3),
        }
    )
    table = folder / "manifest.csv"
    frame.to_csv(table, index=False)
    return table


def baseline(path: Path) -> tuple[dict[str, float], float]:
    from mien.data import dataset, loader  # noqa: F401

    start = time.perf_counter()
    pd.read_csv(path)
    return {"pandas.read_csv": time.perf_counter() - start}, _peak()


def ours(path: Path) -> tuple[dict[str, float], float]:
    from mien.data.augment import Deterministic
    from mien.data.dataset import ClipDataset
    from mien.data.loader import ClipLoader
    from mien.data.order import EpochOrder
    from mien.data.protocol import Protocol
    from mien.data.sampling import RandomWindow
    from mien.data.settings import ProtocolSettings
    from mien.data.targets import TargetSpec
    from mien.models.specification import Inputs, VideoInput

    steps, start, worked = {}, time.perf_counter(), time.process_time()

    def stop(name: str) -> None:
        nonlocal start
        steps[name] = time.perf_counter() - start
        start = time.perf_counter()

    manifest = Manifest.read(path)
    stop("open")
    protocol = Protocol.from_manifest(manifest)
    stop("divide by its split, with the check for leaks")
    by_subject = ProtocolSettings(by="subject", fold=0, validation=0.1)
    Protocol.from_manifest(manifest.select(protocol.train), by_subject)
    stop("divide by people, with the check for leaks")
    inputs = Inputs(video=VideoInput(frames=4, stride=1, size=32))
    targets = TargetSpec(("label",), ("happy", "sad", "neutral"))
    data = ClipDataset(manifest, protocol.train, inputs, RandomWindow(), Deterministic(inputs), targets)
    stop("make the training part")
    loader = ClipLoader(data, EpochOrder(0, len(data), batch_size=8), workers=0, max_unreadable=1.0)
    batch = next(iter(loader))
    assert len(batch["ids"]) == 8, "the batch could not be read"
    stop("first batch")
    steps["(of these, seconds of the processor)"] = time.process_time() - worked
    return steps, _peak()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(work: Callable[[Path], tuple[dict[str, float], float]], path: Path) -> tuple[dict[str, float], float]:
    """The work in a fresh process; an error of its own ends the benchmark."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, path).result()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=int, default=100_000)
    arguments.add_argument("--json", type=Path)
    choice = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), choice.clips)
        plain, plain_peak = measure(baseline, path)
        steps, peak = measure(ours, path)
    busy = steps.pop("(of these, seconds of the processor)")
    total = sum(steps.values())
    for name, seconds in {**plain, **steps, "all of mien's": total, "seconds of the processor": busy}.items():
        print(f"{name:46} {seconds:7.2f} s  {seconds / plain['pandas.read_csv']:6.1f} x")
    print(f"{'highest memory: pandas, mien':46} {plain_peak:7.0f} MiB {peak:6.0f} MiB")
    met = total < GOAL_SECONDS and peak < GOAL_MIB
    print(f"goal of {GOAL_SECONDS:g} s and {GOAL_MIB:g} MiB for {choice.clips:,} clips {'met' if met else 'NOT met'}")
    if choice.json:
        result = {"clips": choice.clips, "seconds": steps, "total": total, "cpu": busy, "peak_mib": peak,
                  "baseline": plain, "baseline_mib": plain_peak, "met": met}  # fmt: skip
        choice.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
