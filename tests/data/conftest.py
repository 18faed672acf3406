"""Small real recordings that tests of loading share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.data.manifest import Manifest
from mien.media import VideoWriter

RATE = 8000


def record(path: Path, frames: int, shade: int, sound: bool = True, fps: float = 25.0, size: int = 48) -> Path:
    """A clip whose frame t is ``shade`` with a column of brightness 4 t, and a tone of ``shade`` Hz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, (size, size), fps, RATE if sound else None, gop=8) as out:
        for number in range(frames):
            image = np.full((size, size, 3), shade, dtype=np.uint8)
            image[:, : size // 2] = min(4 * number, 255)
            out.write(image)
        if sound:
            time = np.arange(round(frames / fps * RATE)) / RATE
            out.write_sound((0.3 * np.sin(2 * np.pi * (200 + shade) * time)).astype(np.float32))
    return path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Eight clips of 10 to 45 frames, of four subjects, with label files at 10 Hz (valence = time / 10)."""
    root = tmp_path_factory.mktemp("corpus")
    rows = []
    for number in range(8):
        frames = 10 + 5 * number
        record(root / f"clips/{number}.mp4", frames, 30 * number, sound=number != 3)
        time = np.arange(0, frames / 25 + 0.1, 0.1)
        labels = root / f"labels/{number}.csv"
        labels.parent.mkdir(exist_ok=True)
        pd.DataFrame({"time": time, "valence": time / 10, "arousal": -time / 10}).to_csv(labels, index=False)
        rows.append(
            {
                "path": f"clips/{number}.mp4",
                "subject": f"s{number // 2}",
                "label": ["low", "high"][number % 2],
                "valence": number / 10,
                "labels": f"labels/{number}.csv",
            }
        )
    Manifest(pd.DataFrame(rows), root).write(root / "manifest.csv")
    return Manifest.read(root / "manifest.csv")
