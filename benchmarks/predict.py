"""Seconds of work per second of video, by stage, for 720p and 1080p, against real time at 25 frames per second.

    python benchmarks/predict.py [--source talk.mp4] --json predict.json

The source is looped and scaled to both sizes. Decoding, detection with tracking, and the model run on threads of their
own, so that the wall time is less than the sum of the stages. "processor" is what the stages used, whatever else the
machine was doing.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from mien.checkpoints.bundle import load, save
from mien.data.synthetic import SyntheticSettings, film_two_faces
from mien.faces import CropRecipe
from mien.inference import PredictSettings, Stopwatch, predict
from mien.media import VideoReader, VideoWriter
from mien.models.specification import Inputs, Specification, TaskConfig, VideoInput
from mien.tasks import create_model

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
FPS = 25
CLASSES = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")


def film(source: Path, size: tuple[int, int], seconds: float, path: Path) -> Path:
    """The source's pictures again and again at 25 per second, as high as the frame, black beside them."""
    width, height = size
    with VideoReader(source) as video:
        scale = min(width / video.size[0], height / video.size[1])
        inner = round(video.size[0] * scale), round(video.size[1] * scale)
        pictures = [
            np.asarray(Image.fromarray(frame.image).resize(inner, Image.Resampling.BICUBIC))
            for frame in islice(video.frames(), 10 * FPS)
        ]
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    with VideoWriter(path, size, FPS, gop=250, quality=20, threads=0) as out:
        for picture in islice(cycle(pictures), round(seconds * FPS)):
            canvas = np.zeros((height, width, 3), np.uint8)
            canvas[top : top + inner[1], left : left + inner[0]] = picture
            out.write(canvas)
    return path


def make_bundle(model: str, size: int, folder: Path) -> Path:
    """The model with start weights: speed does not depend on what it has learned."""
    task = TaskConfig(kind="classification", outputs=CLASSES)
    video = VideoInput(frames=16, stride=4, size=size, crop=CropRecipe(size=size))
    arguments = {"size": size}
    specification = Specification(model=model, arguments=arguments, inputs=Inputs(video=video), task=task)
    return save(create_model(model, task, **arguments), specification, folder)


def measure(path: Path, bundle: Path, settings: PredictSettings) -> dict[str, float]:
    """Wall and processor seconds per second of video."""
    loaded = load(bundle)
    clock = Stopwatch()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    timeline = predict(path, loaded, settings, clock=clock)
    wall, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    seconds = next(iter(timeline.files.values())).duration
    stages = {
        "decode": clock.cpu["decode"],
        "detect": clock.cpu["detect"],
        "track": clock.cpu["follow"] - clock.cpu["detect"] - clock.cpu["wait"],
        "crop": clock.cpu["crop"],
        "model": clock.cpu["model"],
    }
    row = {name: value / seconds for name, value in stages.items()}
    return row | {"processor": cpu / seconds, "wall": wall / seconds, "faces": len(timeline.faces())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="a video with a face; default: two synthetic people")
    parser.add_argument("--model", default="videomae_small")
    parser.add_argument("--size", type=int, default=160, help="side of the face crops (DFEW: 160)")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, help="threads of the model")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = PredictSettings(threads=arguments.threads, precision=arguments.precision, device="cpu")
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(arguments.model, arguments.size, Path(folder) / "bundle")
        source = arguments.source or Path(folder) / "people.mp4"
        if arguments.source is None:
            film_two_faces(source, SyntheticSettings(), seconds=10.0, size=(640, 360))
        for name, size in SIZES.items():
            path = film(source, size, arguments.seconds, Path(folder) / f"{name}.mp4")
            rows[name] = measure(path, bundle, settings)
    context = {
        "model": arguments.model,
        "size": arguments.size,
        "precision": arguments.precision,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    print(", ".join(f"{name} {value}" for name, value in context.items()), "; seconds per second of video:")
    names = list(next(iter(rows.values())))
    print(f"{'':6}" + "".join(f"{name:>11}" for name in names) + f"{'real time':>11}")
    for size_name, row in rows.items():
        print(f"{size_name:6}" + "".join(f"{row[name]:11.3f}" for name in names) + f"{1 / row['wall']:10.2f}x")
    if arguments.json:
        arguments.json.write_text(json.dumps(context | {"seconds_per_second": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
