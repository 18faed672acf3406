"""Linear probes on raw pixels: what a corpus gives away without any model of faces or time."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation.metrics import uar
from mien.media import VideoReader

Probe = Literal["still", "clip"]
PENALTIES = tuple(10.0**power for power in range(-2, 7))


def linear_probe(manifest: Manifest, probe: Probe, target: str = "label", side: int = 32, frames: int = 8) -> float:
    """UAR on the test part of ridge regression from grey pixels to one-hot classes.

    The penalty is chosen on the validation part (on the training part where there is none).

    Args:
        manifest: clips with the columns ``split`` and ``target``.
        probe: ``still`` sees the frame in the middle of each clip; ``clip`` sees ``frames`` evenly spaced frames.
        target: column of the class.
        side: pictures are shrunk to ``side`` × ``side`` pixels.
        frames: number of frames of ``clip``.

    Raises:
        UsageError: a column is missing, or a part is empty.
    """
    table = manifest.frame
    missing = [name for name in ("split", target) if name not in table]
    if missing:
        raise UsageError(f"{manifest.name} has no column {missing[0]!r}; a probe needs split and {target}")
    count = 1 if probe == "still" else frames
    pixels = np.stack([_pixels(str(manifest.row(id_).path), side, count) for id_ in table["id"]])
    classes, labels = np.unique(table[target].astype(str).to_numpy(), return_inverse=True)
    parts = {name: np.flatnonzero((table["split"] == name).to_numpy()) for name in ("train", "validation", "test")}
    if not len(parts["train"]) or not len(parts["test"]):
        raise UsageError(f"{manifest.name} needs rows with split train and split test for a probe")
    judge = parts["validation"] if len(parts["validation"]) else parts["train"]
    one_hot = np.eye(len(classes))[labels]
    scores = {
        penalty: uar(labels[judge], _ridge(pixels, one_hot, parts["train"], judge, penalty).argmax(axis=1))
        for penalty in PENALTIES
    }
    best = max(scores, key=lambda penalty: scores[penalty])
    return uar(labels[parts["test"]], _ridge(pixels, one_hot, parts["train"], parts["test"], best).argmax(axis=1))


def _pixels(path: str, side: int, count: int) -> NDArray[np.float64]:
    with VideoReader(path, size=(side, side), grey=True) as video:
        index = ((np.arange(count) + 0.5) / count * len(video)).astype(int)
        return video.at_indices(index.tolist()).astype(np.float64).ravel() / 255


def _ridge(
    pixels: NDArray[np.float64],
    one_hot: NDArray[np.float64],
    train: NDArray[np.intp],
    judge: NDArray[np.intp],
    penalty: float,
) -> NDArray[np.float64]:
    """Scores ``(n, classes)`` of the judged rows, by the dual form (there are fewer clips than pixels)."""
    x = pixels[train] - pixels[train].mean(axis=0)
    y = one_hot[train] - one_hot[train].mean(axis=0)
    weights = np.linalg.solve(x @ x.T + penalty * np.eye(len(train)), y)
    scores: NDArray[np.float64] = (pixels[judge] - pixels[train].mean(axis=0)) @ x.T @ weights + one_hot[train].mean(0)
    return scores
