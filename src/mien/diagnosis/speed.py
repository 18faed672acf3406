"""How fast this machine is, in a few seconds: decoding, finding faces, and steps of a model on real pixels."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mien.data.synthetic import SyntheticSettings, film_two_faces
from mien.diagnosis.installation import Check, attempt
from mien.faces.detectors import create_detector
from mien.media import VideoReader
from mien.models import create_encoder, default_inputs
from mien.nn.products import quick_products
from mien.training.hardware import choose_accelerator, choose_precision, computing
from mien.training.schema import Hardware

MODEL = "videomae_small"
SECONDS = 1.0  # spent on each measurement, once the first round is done
FILMED = 2.4  # s of video with two faces


def measure_speed(model: str = MODEL) -> list[Check]:
    """Rates on this machine as it is now: other work slows them.

    Args:
        model: registered encoder whose training step (forward and backward, one clip) is timed.
    """
    with TemporaryDirectory() as folder:
        video = Path(folder) / "two_faces.mp4"
        written = attempt("speed", "write video", lambda: _write(video))
        if written.state != "ok":
            return [written]
        return [
            written,
            attempt("speed", "decode", lambda: _decode(video)),
            attempt("speed", "find faces", lambda: _detect(video)),
            attempt("speed", "model step", lambda: _step(model)),
        ]


def _write(video: Path) -> str:
    begun = time.perf_counter()
    film_two_faces(video, SyntheticSettings(), FILMED)
    return f"drew and wrote {FILMED:g} s of 480x270 with sound in {time.perf_counter() - begun:.1f} s"


def _decode(video: Path) -> str:
    def once() -> int:
        with VideoReader(video) as reader:
            return sum(1 for _ in reader.frames())

    return f"{_rate(once):.0f} frames/s of 480x270 H.264, one thread"


def _detect(video: Path) -> str:
    with VideoReader(video) as reader:
        pictures = reader.at_indices(list(range(0, len(reader), 8)))
    detector = create_detector()
    faces = [len(found) for found in detector.detect(pictures)]
    if sum(faces) == 0:
        raise RuntimeError(f"no face found in {len(faces)} pictures that show two each")

    def once() -> int:
        detector.detect(pictures)
        return len(pictures)

    return f"{_rate(once):.1f} frames/s of 480x270 with {sum(faces) / len(faces):.1f} faces"


def _step(model: str) -> str:
    accelerator = choose_accelerator(Hardware())
    precision = choose_precision("auto", accelerator)
    device = torch.device(accelerator)
    video = default_inputs(model).video
    assert video is not None
    encoder = create_encoder(model).to(device).train()
    clip = torch.randn(1, 3, video.frames or 16, video.size, video.size, device=device)

    def once() -> int:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = encoder.forward_features({"video": clip}).pooled.float().square().mean()
        loss.backward()
        encoder.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return 1

    with computing(device), quick_products(device):
        rate = _rate(once)
    size = f"{clip.shape[2]} frames of {video.size} px"
    return f"{rate:.2f} clips/s: {model}, forward and backward, {size}, {accelerator}, {precision}"


def _rate(once: Callable[[], int]) -> float:
    """Items per second: after one round that warms up, rounds for ``SECONDS``; at least one."""
    once()
    begun, items = time.perf_counter(), 0
    while not items or time.perf_counter() - begun < SECONDS:
        items += once()
    return items / (time.perf_counter() - begun)
