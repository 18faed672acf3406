"""How a face looks, as a short vector: enough to tell the people of one recording apart. No torch here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces.types import Detection, Image
from mien.faces.warp import Square, cut

Vector = NDArray[np.float32]

SIDE, CELLS, BINS = 64, 8, 8
VIEWS = 6  # looks that a gallery keeps


def describe(image: Image, face: Detection) -> Vector:
    """Unit vector ``(800,)`` of a face with its hair and collar: edges, light and shade, and colour by place.

    On real recordings of ten people, cosine similarity of one person to their looks of more than a second ago was at
    least 0.77, that of two people at the same place at most 0.66 (median 0.4). It knows clothes and light as much as
    the face, so it holds within a recording only.
    """
    x0, y0, x1, y1 = face.box
    square = Square((x0 + x1) / 2, (y0 + y1) / 2, 1.5 * max(x1 - x0, y1 - y0, 1.0))
    pixels = cut(image, square, SIDE).astype(np.float32)
    grey = pixels.mean(axis=2)
    parts = np.concatenate([_edges(grey), _centred(_cells(grey, 16)), 0.7 * _colours(pixels)])
    vector: Vector = parts / (np.linalg.norm(parts) + 1e-6)
    return vector


def template(image: Image, face: Detection) -> Vector:
    """Zero-mean unit vector ``(576,)`` of the face's luminance, to compare with the very next frame."""
    x0, y0, x1, y1 = face.box
    square = Square((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0, 1.0))
    return _centred(cut(image, square, 24).astype(np.float32).mean(axis=2))


class Gallery:
    """The last different looks of one person."""

    def __init__(self) -> None:
        self._views: list[Vector] = []

    def add(self, view: Vector) -> None:
        """Keep a look; of two that hardly differ the newer one stays."""
        self._views = [old for old in self._views if float(old @ view) < 0.95][-(VIEWS - 1) :]
        self._views.append(view)

    def similarity(self, view: Vector) -> float:
        """Cosine with the most similar look, -1..1; 0 while the gallery is empty."""
        return max((float(old @ view) for old in self._views), default=0.0)


def _cells(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    side = len(values) // count
    means: NDArray[np.float32] = values.reshape(count, side, count, side, -1).mean(axis=(1, 3))
    return means


def _centred(values: NDArray[np.float32]) -> Vector:
    flat = values.ravel() - values.mean()
    return flat / (np.linalg.norm(flat) + 1e-6)


def _edges(grey: NDArray[np.float32]) -> Vector:
    """Histograms of edge direction in 8 x 8 cells, square-rooted so that no single edge dominates."""
    down, along = np.gradient(grey)
    strength = np.hypot(along, down)
    direction = (np.arctan2(down, along) % np.pi) / np.pi * BINS
    low = direction.astype(np.intp) % BINS
    share = direction - np.floor(direction)
    cell = np.arange(SIDE) * CELLS // SIDE
    place = (cell[:, None] * CELLS + cell) * BINS
    size = CELLS * CELLS * BINS
    histogram = np.bincount((place + low).ravel(), (strength * (1 - share)).ravel(), size)
    histogram += np.bincount((place + (low + 1) % BINS).ravel(), (strength * share).ravel(), size)
    return _centred(np.sqrt(histogram).astype(np.float32))


def _colours(pixels: NDArray[np.float32]) -> Vector:
    """Red against green and blue against grey in 4 x 4 cells."""
    cells = _cells(pixels, 4)
    differences = np.stack([cells[..., 0] - cells[..., 1], cells[..., 2] - cells.mean(axis=-1)], axis=-1).ravel()
    return differences / (np.linalg.norm(differences) + 1e-6)
