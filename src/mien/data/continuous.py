"""A corpus with annotation over time → manifest and label files that mien trains on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.data.arrays import read_arrays
from mien.data.layouts import VALUES, Source
from mien.data.manifest import Manifest
from mien.data.ratings import Estimator, course_table, gather
from mien.data.tables import write_table
from mien.errors import MienError, UsageError
from mien.media import VideoWriter


def write_corpus(
    sources: Sequence[Source],
    out: Path,
    estimator: Estimator = "mean",
    delay: float = 0.0,
    fps: float | None = None,
    grey: tuple[float, float] = (0.0, 1.0),
) -> Manifest:
    """Write ``out/manifest.csv`` (``path, subject, split, labels``) and ``out/labels/``; videos stay where they are.

    Args:
        sources: see ``mien.data.layouts.find_sources``.
        out: folder.
        estimator: how annotators are brought together.
        delay: seconds by which annotators lag behind what they saw.
        fps: frames per second, where annotations count frames or pictures lie in ``.npz`` files.
        grey: mean and standard deviation by which pictures in ``.npz`` files were normalised; they become videos in
            ``out/videos``.

    Raises:
        UsageError: there are no recordings, or an annotation is not what it should be.
        MienError: ``out`` cannot be written.
    """
    if not sources:
        raise UsageError("no recording was found; look at the layout and at the folders")
    rows = []
    try:
        (out / "labels").mkdir(parents=True, exist_ok=True)
        for source in sources:
            name = f"{source.part}-{source.name}"
            labels = out / "labels" / f"{name}.csv"
            write_table(label_table(source, estimator, delay, fps), labels)
            video = source.video
            if video.suffix == ".npz":
                video = out / "videos" / f"{name}.mp4"
                video_of_frames(source.video, video, fps, grey)
            rows.append(
                {
                    "path": os.path.relpath(video.resolve(), out.resolve()),
                    "subject": source.subject,
                    "split": source.part,
                    "labels": os.path.relpath(labels, out),
                }
            )
    except OSError as error:
        raise MienError(f"{out} cannot be written: {error.strerror}") from None
    manifest = Manifest(pd.DataFrame(rows), out)
    manifest.write(out / "manifest.csv")
    return Manifest.read(out / "manifest.csv")


def label_table(source: Source, estimator: Estimator, delay: float, fps: float | None) -> pd.DataFrame:
    """``time`` and a column per value, at the times of the first annotator of arousal."""
    courses = {value: gather(list(source.annotations[value]), fps) for value in VALUES}
    return course_table(courses, estimator, delay)


def video_of_frames(file: Path, out: Path, fps: float | None, grey: tuple[float, float]) -> None:
    """Write the pictures of an ``.npz`` file (``arr_0`` or ``data``, ``(T, H, W)``) as a grey video."""
    if fps is None:
        raise UsageError(f"{file}: frames in a file have no clock; say how many there are in a second (fps)")
    if out.exists():
        return
    pictures = frames_of(file)
    mean, std = grey
    if pictures.dtype != np.uint8:
        pictures = np.clip((pictures.astype(np.float64) * std + mean) * 255, 0, 255).round().astype(np.uint8)
    out.parent.mkdir(parents=True, exist_ok=True)
    height, width = (size - size % 2 for size in pictures.shape[1:])
    with VideoWriter(out, (width, height), fps=fps) as writer:
        for picture in pictures[:, :height, :width]:
            writer.write(np.repeat(picture[..., None], 3, axis=-1))


def frames_of(file: Path) -> NDArray[Any]:
    """Pictures ``(T, H, W)`` of an ``.npz`` file; nothing in it is executed."""
    content = read_arrays(file)
    pictures: NDArray[Any] | None = content.get("arr_0", content.get("data"))
    if pictures is None:
        raise MienError(f"{file} holds {', '.join(content) or 'nothing'}; frames are an array arr_0 or data")
    if pictures.ndim != 3:
        raise MienError(f"{file} holds an array {pictures.shape}; frames are (T, H, W)")
    return pictures
