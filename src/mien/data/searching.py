"""Every picture searched for a face by itself, as the authors of some systems prepared their corpora."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from mien.faces.types import Detection, Detector, Floats, Frame, TrackedFace, TrackedFrame


def follow_alone(
    detector: Detector, which: Literal["largest", "surest"], min_height: float, frames: Iterable[Frame]
) -> Iterator[TrackedFrame]:
    """Frames that each show one face, with a score of 0 where none was seen.

    ``largest`` (audiovisual fusion): the largest box; without a face the box of the frame before, and no face in the
    frames before the first one. (The published code went on with the box of the recording before.)
    ``surest`` (ViPER): the most certain box of at least ``min_height`` pixels; without one the whole picture.
    """
    last: Floats | None = None
    for frame in frames:
        found = detector.detect(frame.image[None])[0]
        face = _largest(found) if which == "largest" else _surest(found, min_height)
        if face is not None:
            last = face.box
        elif which == "surest":
            last = np.array([0, 0, *frame.image.shape[1::-1]], dtype=np.float64)
        yield TrackedFrame(frame.index, frame.time, frame.image, [] if last is None else [_shown(face, last)])


def _shown(face: Detection | None, box: Floats) -> TrackedFace:
    if face is None:
        return TrackedFace(0, box, 0.0, None, "interpolated")
    return TrackedFace(0, face.box, face.score, face.landmarks, "detected")


def _largest(found: list[Detection]) -> Detection | None:
    return max(found, key=lambda face: float(np.prod(face.box[2:] - face.box[:2])), default=None)


def _surest(found: list[Detection], min_height: float) -> Detection | None:
    return next((face for face in found if face.box[3] - face.box[1] >= min_height), None)
