"""Peak memory of a prediction over a recording of 1 minute and of the same looped to 10: they should hardly differ.

    python benchmarks/memory.py [--source talk.mp4] --json memory.json

The source's packets are copied one after the other until the length is reached. Every prediction runs in a process of
its own, whose highest resident memory is what is compared.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
from pathlib import Path

import av

from mien.checkpoints.bundle import load, save
from mien.data.synthetic import SyntheticSettings, film_two_faces
from mien.inference import predict
from mien.models.registry import default_inputs
from mien.models.specification import Specification, TaskConfig
from mien.tasks import create_model

MINUTES = (1, 10)
ALLOWED = 1.15


def loop(source: Path, seconds: float, path: Path) -> Path:
    """The source again and again, without encoding it anew."""
    with av.open(str(path), "w") as out:
        streams: dict[int, av.stream.Stream] = {}
        last: dict[int, int] = {}
        offset = 0.0
        while offset < seconds:
            with av.open(str(source)) as container:
                taken = [*container.streams.video[:1], *container.streams.audio[:1]]
                for stream in taken:
                    if stream.index not in streams:
                        streams[stream.index] = out.add_stream_from_template(stream)
                for packet in container.demux(taken):
                    if packet.dts is None:
                        continue
                    shift = round(offset / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    index = packet.stream.index
                    if packet.dts <= last.get(index, packet.dts - 1):  # a coder's lead-in that the join has no room for
                        continue
                    last[index] = packet.dts
                    packet.stream = streams[index]
                    out.mux(packet)
                offset += container.duration / av.time_base
    return path


def peak(path: Path, bundle: Path, answer: multiprocessing.Queue[tuple[float, float, int]]) -> None:
    """Predict, then tell the seconds and rows, and the highest resident memory of this process in MiB."""
    timeline = predict(path, load(bundle))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.put((used, next(iter(timeline.files.values())).duration, len(timeline)))


def measure(path: Path, bundle: Path) -> tuple[float, float, int]:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=peak, args=(path, bundle, answer))
    process.start()
    found: tuple[float, float, int] = answer.get()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="a video with a face; default: two synthetic people")
    parser.add_argument("--model", default="videomae_test")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    task = TaskConfig(kind="classification", outputs=("happiness", "sadness", "neutral", "anger"))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        specification = Specification(model=arguments.model, inputs=default_inputs(arguments.model), task=task)
        bundle = save(create_model(arguments.model, task), specification, Path(folder) / "bundle")
        source = arguments.source or Path(folder) / "people.mp4"
        if arguments.source is None:
            film_two_faces(source, SyntheticSettings(), seconds=20.0)
        for minutes in MINUTES:
            path = loop(source, 60.0 * minutes, Path(folder) / f"{minutes}{source.suffix}")
            found[minutes], seconds, rows = measure(path, bundle)
            print(f"{minutes:3} min ({seconds:.1f} s, {rows} rows): {found[minutes]:8.1f} MiB")
    ratio = found[MINUTES[1]] / found[MINUTES[0]]
    print(f"ratio {ratio:.3f} ({'within' if ratio <= ALLOWED else 'ABOVE'} the {ALLOWED:.2f} that is allowed)")
    if arguments.json:
        peaks = {f"{minutes} min": round(value, 1) for minutes, value in found.items()}
        arguments.json.write_text(json.dumps({"model": arguments.model, "peak_mib": peaks, "ratio": ratio}) + "\n")


if __name__ == "__main__":
    main()
