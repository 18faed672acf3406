"""Small pictures of faces for the report, made only when asked for."""

from __future__ import annotations

import base64
import io

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from mien.inference.timeline import Timeline
from mien.media import VideoReader

SIDE = 112  # pixels
PER_FACE = 4


def thumbnails_of(timeline: Timeline) -> dict[int, list[tuple[float, str]]]:
    """``PER_FACE`` moments of every face of a one-file timeline: track → (seconds, base64 JPEG)."""
    (info,) = timeline.files.values()
    wanted = pd.concat([timeline.tracks.iloc[:0], *(_moments(rows) for _, rows in timeline.tracks.groupby("track"))])
    found: dict[int, list[tuple[float, str]]] = {}
    if wanted.empty:
        return found
    with VideoReader(info.path) as video:
        for _, row in wanted.sort_values("time").iterrows():
            image = video.at_times([row["time"]])[0]
            picture = _cut(image, *(float(row[name]) for name in ("x0", "y0", "x1", "y1")))
            found.setdefault(int(row["track"]), []).append((float(row["time"]), picture))
    return found


def _moments(rows: pd.DataFrame) -> pd.DataFrame:
    """Evenly spread samples of a track among those with a box."""
    seen = rows[rows["x0"].notna()]
    return seen.iloc[np.unique(np.linspace(0, len(seen) - 1, PER_FACE).round().astype(int))]


def _cut(image: NDArray[np.uint8], x0: float, y0: float, x1: float, y1: float) -> str:
    """The square around a box, a little wider, as base64 JPEG."""
    half = 0.65 * max(x1 - x0, y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    face = Image.fromarray(image).crop((round(x - half), round(y - half), round(x + half), round(y + half)))
    buffer = io.BytesIO()
    face.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
