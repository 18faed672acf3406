"""Who is who: found faces to known tracks. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from mien.faces.appearance import Vector
from mien.faces.boxes import overlap
from mien.faces.track import Moment, Track
from mien.faces.types import Detection, Floats

IMPOSSIBLE = 1e6


def assign(costs: Floats) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost (Hungarian method); pairs at ``IMPOSSIBLE`` are left out."""
    if not costs.size:
        return []
    rows, columns = linear_sum_assignment(costs)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if costs[r, c] < IMPOSSIBLE]


def by_place(expected: Floats, found: Floats, least: float = 0.3) -> list[tuple[int, int]]:
    """Pairs of boxes ``(N, 4)`` and ``(M, 4)`` of one frame that overlap (IoU) by at least ``least``."""
    shared = overlap(expected.reshape(-1, 4), found.reshape(-1, 4))
    return assign(np.where(shared >= least, 1 - shared, IMPOSSIBLE))


def by_person(
    tracks: Sequence[Track], faces: Sequence[Detection], looks: Sequence[Vector], moment: Moment, same_person: float
) -> list[tuple[int, int]]:
    """Pairs of lost tracks and new faces that are one person, by looks and by place.

    A face may have moved by its own size plus two more per second since it was last seen, and changed its size by half
    an octave and one octave more per second; over a cut, where only a like framing speaks for the same person, by its
    size. Looks need only half agree right where a face is expected within half a second of the same shot (a turned
    head looks different), and by seven tenths where it was lost beside another face (which still covers a part of it).
    """
    costs = np.full((len(tracks), len(faces)), IMPOSSIBLE)
    for i, track in enumerate(tracks):
        for j, (face, look) in enumerate(zip(faces, looks, strict=True)):
            alike = track.gallery.similarity(look)
            distance = _distance(track, face, moment)
            if distance <= 1 and alike >= same_person * _caution(track, distance, moment):
                costs[i, j] = 1 - alike + 0.3 * distance
    return assign(costs)


def _caution(track: Track, distance: float, moment: Moment) -> float:
    """Share of the usual likeness that is asked of a face for it to be a lost track's."""
    last = track.last.moment
    brief = last.shot == moment.shot and moment.time - last.time <= 0.5
    if brief and distance < 0.5 and not track.displaced:
        return 0.5
    return 0.7 if track.rival is not None else 1.0


def _distance(track: Track, face: Detection, moment: Moment) -> float:
    """Change of place and size since the track was last seen, as a share of what is possible (above 1: too far)."""
    last, box = track.last, track.expected(moment.time)
    if moment.number <= last.moment.number:
        return IMPOSSIBLE
    gap = moment.time - last.moment.time if last.moment.shot == moment.shot else 0.0
    size, new = max(box[2:] - box[:2]), max(face.box[2:] - face.box[:2])
    moved = np.linalg.norm((face.box - box).reshape(2, 2).mean(axis=0)) / max(size, new)
    scaled = abs(np.log2(new / size))
    return float(max(moved / (1 + 2 * gap), scaled / (0.6 + gap)))
