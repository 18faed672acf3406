"""Speed of finding and following faces on one CPU thread (in CPU time), against OpenCV's Haar cascade in the same run.

Scenes are made anew: scikit-image's astronaut at six heights from 40 to 240 px drifting over a cloudy background, at
640x360, 720p and 1080p, or give a recording of your own with --video. "detect" is one full search of one picture; both
look for faces from 40 px. "found" counts the faces of the scene that a search hits (IoU 0.5) and its boxes elsewhere.
"follow" is the tracker per frame at its default settings, two faces in view, decoding excluded; Haar would have to
search every frame. A ratio above 1 says that mien is quicker.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data

from mien.faces import MTCNN, FaceTracker
from mien.faces.boxes import overlap
from mien.media import VideoReader

SIZES = ((640, 360), (1280, 720), (1920, 1080))
HEIGHTS = (40, 60, 90, 120, 180, 240)
FACE = np.array([182.0, 64.0, 269.0, 177.0])  # in the astronaut picture


@dataclass(frozen=True)
class Shot:
    index: int
    time: float
    image: np.ndarray


def background(width: int, height: int) -> np.ndarray:
    """Clouds of colour, without faces."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (height // 24 + 2, width // 24 + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def pasted(scene: np.ndarray, face_height: int, left: int, top: int) -> np.ndarray:
    """Draw the portrait into a scene; returns the box of its face."""
    cut = data.astronaut()[20:240, 110:340]
    scale = face_height / (FACE[3] - FACE[1])
    small = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    place = scene[top : top + small.shape[0], left : left + small.shape[1]]
    place[:] = small[: place.shape[0], : place.shape[1]]
    return (FACE - (110, 20, 110, 20)) * scale + np.array([left, top, left, top])


def scene_with(width: int, height: int, face_height: int, step: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture with one face, and the face's box ``(1, 4)``."""
    scene = background(width, height)
    room = max(height - round(face_height * 1.95), 1), max(width - round(face_height * 2.04), 1)
    box = pasted(scene, face_height, (37 + 61 * step) % room[1], (23 + 17 * step) % room[0])
    return scene, box[None]


def drifting(width: int, height: int, count: int) -> list[Shot]:
    """Frames with two faces of a quarter of the height, one moving left and one right, 25 a second."""
    shots = []
    for i in range(count):
        scene = background(width, height)
        for side, way in ((0.08, 1), (0.62, -1)):
            shift = round(0.02 * width * np.sin(i / 12) * way)
            pasted(scene, height // 4, round(side * width) + shift, round(0.2 * height))
        shots.append(Shot(i, i / 25, scene))
    return shots


def haar(cascade: cv2.CascadeClassifier, image: np.ndarray) -> np.ndarray:
    """Boxes ``(N, 4)`` by OpenCV at its default settings, from 40 px."""
    rows = cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1.1, 3, minSize=(40, 40))
    boxes = np.array(rows, dtype=float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def mtcnn(detector: MTCNN, image: np.ndarray) -> np.ndarray:
    """Boxes ``(N, 4)`` by mien's default detector."""
    return np.array([face.box for face in detector.detect(image[None])[0]]).reshape(-1, 4)


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return 1000 * (time.process_time() - begun)


def hits(boxes: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    """Faces found, and boxes that are on none."""
    shared = overlap(truth, boxes) > 0.5
    return int(shared.any(axis=1).sum()), int((~shared.any(axis=0)).sum())


def measure(name: str, shots: list[Shot], repetitions: int) -> dict[str, float | str | int]:
    """Medians over ``repetitions``; both take turns, so that a busy machine hits both."""
    detector, cascade = MTCNN(), cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    image = shots[len(shots) // 2].image
    mtcnn(detector, image), haar(cascade, image)
    pairs = [
        (milliseconds(lambda: mtcnn(detector, image)), milliseconds(lambda: haar(cascade, image)))
        for _ in range(repetitions)
    ]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    follow = milliseconds(lambda: sum(len(frame.faces) for frame in FaceTracker(detector).follow(shots))) / len(shots)
    return {
        "pictures": name,
        "mtcnn_ms": ours,
        "haar_ms": theirs,
        "detect_ratio": theirs / ours,
        "follow_ms": follow,
        "follow_ratio": theirs / follow,
    }


def accuracy(width: int, height: int) -> dict[str, int]:
    """Faces found among those of every height that fits, and false boxes, for both."""
    detector, cascade = MTCNN(), cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    counts = dict.fromkeys(("faces", "mtcnn_found", "mtcnn_false", "haar_found", "haar_false"), 0)
    for step, face_height in enumerate(height_ for height_ in HEIGHTS if height_ * 1.95 < height):
        image, truth = scene_with(width, height, face_height, step)
        counts["faces"] += 1
        for who, boxes in (("mtcnn", mtcnn(detector, image)), ("haar", haar(cascade, image))):
            found, false = hits(boxes, truth)
            counts[f"{who}_found"] += found
            counts[f"{who}_false"] += false
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, action="append", help="measure this recording instead (repeatable)")
    parser.add_argument("--frames", type=int, default=75, help="frames to follow (default 75)")
    parser.add_argument("--repetitions", type=int, default=9, help="rounds of each detection (default 9)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if not hasattr(cv2, "CascadeClassifier"):
        raise SystemExit(f"OpenCV {cv2.__version__} has no Haar cascades; pip install 'opencv-python-headless<5'")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows = []
    print(f"{'pictures':24} {'detect: MTCNN':>13} {'Haar':>8} ratio {'follow':>9} ratio   found, false")
    for source in options.video or SIZES:
        if isinstance(source, Path):
            with VideoReader(source) as video:
                shots = [Shot(f.index, f.time, f.image) for f in islice(video.frames(), options.frames)]
            row = measure(source.name, shots, options.repetitions)
        else:
            shots = drifting(*source, options.frames)
            row = measure(f"{source[0]}x{source[1]}", shots, options.repetitions) | accuracy(*source)
        rows.append(row)
        speed = f"{row['mtcnn_ms']:10.1f} ms {row['haar_ms']:8.1f} {row['detect_ratio']:5.2f}"
        follow = f"{row['follow_ms']:6.1f} ms {row['follow_ratio']:5.1f}"
        found = " vs ".join(f"{row[f'{who}_found']}/{row['faces']}, {row[f'{who}_false']}" for who in ("mtcnn", "haar"))
        print(f"{row['pictures']:24} {speed} {follow}   {found if 'faces' in row else ''}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"repetitions": options.repetitions, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
