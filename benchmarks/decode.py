"""Speed of decoding, in order and at random places, against OpenCV in the same run (RGB out, one thread each).

Recordings are made anew from moving noise, at 720p and as 160x160 face clips, with a long and a short distance between
entry points; give your own with --video. "in order" is frames per second over the whole file; "random" is milliseconds
for a clip of 16 frames, stride 4, opening the file each time. A ratio above 1 says that mien is quicker.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"  # read by OpenCV when it is imported

import cv2
import numpy as np

from mien.media import VideoReader, VideoWriter

CLIP = 4 * np.arange(16)


def make(path: Path, size: tuple[int, int], gop: int, frames: int) -> Path:
    """A recording with detail and motion: a large noise picture that drifts."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (size[1] // 8 + 40, size[0] // 8 + 40, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    with VideoWriter(path, size, gop=gop) as out:
        for index in range(frames):
            x, y = (round(100 + 90 * f(index / 40)) for f in (np.sin, np.cos))
            out.write(scene[y : y + size[1], x : x + size[0]])
    return path


def mien_in_order(path: Path) -> int:
    with VideoReader(path) as video:
        return sum(1 for _ in video.frames())


def opencv_in_order(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while True:
        seen, image = capture.read()
        if not seen:
            return count
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        count += 1


def mien_clip(path: Path, start: int) -> np.ndarray:
    with VideoReader(path) as video:
        return video.at_indices(start + CLIP)


def opencv_clip(path: Path, start: int) -> np.ndarray:
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, start)
    images = []
    for index in range(CLIP[-1] + 1):
        capture.grab()
        if index in CLIP:
            images.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
    return np.stack(images)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(path: Path, repetitions: int) -> dict[str, float | str | int]:
    """Medians over ``repetitions``; mien and OpenCV take turns, so that a busy machine hits both."""
    frames = mien_in_order(path)
    if opencv_in_order(path) != frames:
        raise SystemExit(f"{path}: OpenCV does not see the same {frames} frames; nothing to compare")
    if frames <= CLIP[-1]:
        raise SystemExit(f"{path}: has {frames} frames; give a recording of at least {CLIP[-1] + 1}")
    starts = np.random.default_rng(0).integers(0, frames - CLIP[-1], 3 * repetitions).tolist()
    order = [(seconds(lambda: mien_in_order(path)), seconds(lambda: opencv_in_order(path))) for _ in range(repetitions)]
    clips = [(seconds(lambda: mien_clip(path, at)), seconds(lambda: opencv_clip(path, at))) for at in starts]  # noqa: B023
    mien_order, cv_order = (statistics.median(times) for times in zip(*order, strict=True))
    mien_random, cv_random = (statistics.median(times) for times in zip(*clips, strict=True))
    equal = all(np.array_equal(mien_clip(path, at), opencv_clip(path, at)) for at in starts[:3])
    return {
        "recording": path.name,
        "frames": frames,
        "mien_fps": frames / mien_order,
        "opencv_fps": frames / cv_order,
        "in_order_ratio": cv_order / mien_order,
        "mien_clip_ms": 1000 * mien_random,
        "opencv_clip_ms": 1000 * cv_random,
        "random_ratio": cv_random / mien_random,
        "same_pixels": equal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, action="append", help="measure this recording instead (repeatable)")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds of each measurement (default 5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        made = [
            (f"{size[1]}p_gop{gop}.mp4", size, gop, frames)
            for size, frames in (((1280, 720), 250), ((160, 160), 250))
            for gop in (250, 12)
        ]
        paths = options.video or [make(Path(folder) / name, *rest) for name, *rest in made]
        rows = []
        print(f"{'recording':24} {'in order: mien':>14} {'OpenCV':>8} ratio {'a clip: mien':>13} {'OpenCV':>9} ratio")
        for path in paths:
            row = measure(path, options.repetitions)
            rows.append(row)
            order = f"{row['mien_fps']:10.0f} fps {row['opencv_fps']:8.0f} {row['in_order_ratio']:5.2f}"
            clips = f"{row['mien_clip_ms']:10.1f} ms {row['opencv_clip_ms']:9.1f} {row['random_ratio']:5.2f}"
            print(f"{row['recording']:24} {order} {clips}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"repetitions": options.repetitions, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
