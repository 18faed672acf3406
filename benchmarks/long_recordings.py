"""Peak memory of training, evaluation and prediction on recordings of minutes and of an hour: it should hardly differ.

    python benchmarks/long_recordings.py --json long_recordings.json

A synthetic face with labels over time is looped to the length. Training takes random segments of it; evaluation and
prediction read it in full. Every stage runs in a process of its own, whose highest resident memory is what is compared.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from memory import ALLOWED, loop
from mien.checkpoints.bundle import load
from mien.data.manifest import Manifest
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.evaluation import evaluate
from mien.inference import predict
from mien.training import fit, load_recipe

SOURCE = SyntheticSettings(clips=2, subjects=2, seconds=20.0, size=64, sound_rate=None, test=0.5, validation=0.0)


def make_corpus(folder: Path, minutes: int) -> Path:
    """A person to train on and another to test on, each looped to the length; ``manifest.csv``."""
    source = synthesise(folder.parent / "source", SOURCE, workers=1)
    folder.mkdir()
    rows = []
    for id_ in source.ids:
        row = source.row(id_)
        assert row.labels is not None
        path = loop(row.path, 60.0 * minutes, folder / row.path.name)
        table = pd.read_csv(row.labels)
        turns = -(-60 * minutes // int(SOURCE.seconds))
        labels = folder / f"{row.path.stem}.csv"
        pd.concat([table.assign(time=table["time"] + SOURCE.seconds * turn) for turn in range(turns)]).to_csv(labels)
        split = source.frame.set_index("id").loc[id_, "split"]
        rows.append({"path": path.name, "subject": row.path.stem, "split": split, "labels": labels.name})
    Manifest(pd.DataFrame(rows), folder).write(folder / "manifest.csv")
    return folder / "manifest.csv"


def train(manifest: Path, run: Path) -> str:
    """Eight segments of every recording and epoch."""
    changes = ["data.sampling.windows=8", "data.batch=4", "data.workers=0", "data.cache=0", "schedule.epochs=4"]
    result = fit(load_recipe("vaerr/train_synthetic", [f"data.manifest={manifest}", *changes]), run, progress=False)
    return f"{result.clips} segments"


def judge(manifest: Path, run: Path) -> str:
    return f"{evaluate(run, manifest, 'test')['ccc'].n} frames"


def read(manifest: Path, run: Path) -> str:
    """The picture is the face, so nothing is looked for."""
    bundle, test = load(run), next(iter(Manifest.read(manifest).frame.query("split == 'test'")["path"]))
    inputs = bundle.specification.inputs
    assert inputs.video is not None
    whole = inputs.model_copy(update={"video": inputs.video.model_copy(update={"crop": None})})
    bundle = replace(bundle, specification=bundle.specification.model_copy(update={"inputs": whole}))
    return f"{len(predict(manifest.parent / test, bundle))} rows"


STAGES: dict[str, Callable[[Path, Path], str]] = {"train": train, "evaluate": judge, "predict": read}


def peak(stage: str, manifest: Path, run: Path, answer: multiprocessing.Queue[tuple[float, float, str]]) -> None:
    """Work, then tell the highest resident memory of this process in MiB, its processor seconds, and what was done."""
    done = STAGES[stage](manifest, run)
    used = resource.getrusage(resource.RUSAGE_SELF)
    answer.put((used.ru_maxrss / 1024, used.ru_utime + used.ru_stime, done))


def measure(stage: str, manifest: Path, run: Path) -> tuple[float, float, str]:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=peak, args=(stage, manifest, run, answer))
    process.start()
    found: tuple[float, float, str] = answer.get()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, nargs=2, default=(3, 60))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with tempfile.TemporaryDirectory() as folder:
        for minutes in options.minutes:
            manifest = make_corpus(Path(folder) / str(minutes), minutes)
            for stage, peaks in found.items():
                mebibytes, seconds, done = measure(stage, manifest, Path(folder) / f"run{minutes}")
                peaks.append(round(mebibytes, 1))
                print(
                    f"{minutes:3} min, {stage:8} {mebibytes:8.1f} MiB, {seconds:5.0f} processor s, {done}", flush=True
                )
    for stage, (short, long) in found.items():
        says = "within" if long <= ALLOWED * short else "ABOVE"
        print(f"{stage:8} ratio {long / short:.3f} ({says} the {ALLOWED:.2f} that is allowed)")
    if options.json:
        options.json.write_text(json.dumps({"minutes": list(options.minutes), "peak_mib": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
