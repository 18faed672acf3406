"""What the rooms after this one see of faces. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A picture, uint8 ``(H, W, 3)`` RGB."""

Floats = NDArray[np.float64]
Source = Literal["detected", "interpolated"]


class Frame(Protocol):
    """A picture with its place in a recording, as ``mien.media`` streams them."""

    @property
    def index(self) -> int:
        """Position in the recording, from 0."""

    @property
    def time(self) -> float:
        """Presentation time in seconds from the first picture."""

    @property
    def image(self) -> Image:
        """uint8 ``(H, W, 3)`` RGB."""


@dataclass(frozen=True)
class Detection:
    """A face in one picture.

    Attributes:
        box: float64 ``(4,)``: x0, y0, x1, y1 in pixels; pixel ``i`` covers ``[i, i + 1)``. May reach over the border.
        score: 0..1, how sure the detector is that this is a face.
        landmarks: float64 ``(5, 2)`` x, y in pixels: eye, eye, nose tip, mouth corner, mouth corner, the one further
            left in an upright picture first; None where the detector gives none.
    """

    box: Floats
    score: float
    landmarks: Floats | None = None


class Detector(Protocol):
    """Finds faces in pictures, and looks again at places where a face is expected.

    ``certainty`` is the mean score (over log-odds) of ``refine`` that faces reach and what is taken for one does not.
    """

    certainty: float

    def detect(self, images: NDArray[np.uint8]) -> list[list[Detection]]:
        """All faces of uint8 ``(N, H, W, 3)`` RGB pictures, best first, one list per picture."""

    def refine(self, image: Image, boxes: Floats) -> list[Detection | None]:
        """Look for a face at each of ``boxes`` ``(K, 4)`` in one picture; None where there is none (much cheaper)."""


@dataclass(frozen=True)
class TrackedFace:
    """A face of one person in one frame.

    Attributes:
        track: id of the person's track, from 0 in order of appearance; the same through cuts and short losses.
        box: as in ``Detection``.
        score: 0..1 confidence for this frame; where interpolated, half of that of the less certain neighbour.
        landmarks: as in ``Detection``.
        source: ``detected``: the detector saw it in this very frame; ``interpolated``: filled in between such frames.
    """

    track: int
    box: Floats
    score: float
    landmarks: Floats | None
    source: Source


@dataclass(frozen=True)
class TrackedFrame:
    """A frame with the faces that are in it, ordered by track id."""

    index: int
    time: float
    image: Image
    faces: Sequence[TrackedFace]
