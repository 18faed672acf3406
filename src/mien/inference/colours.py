"""Colours for classes and faces: Paul Tol's qualitative schemes, which colour-blind readers can tell apart."""

from __future__ import annotations

# "muted", for class bands and curves
_CLASSES = (
    "#332288",
    "#cc6677",
    "#ddcc77",
    "#117733",
    "#88ccee",
    "#aa4499",
    "#44aa99",
    "#999933",
    "#882255",
    "#bbbbbb",
)
# "bright", for boxes on pictures
_FACES = ((102, 204, 238), (238, 102, 119), (204, 187, 68), (34, 136, 51), (170, 51, 119), (68, 119, 170))


def class_colour(position: int) -> str:
    """Colour of the class or output at this position, as ``#rrggbb``."""
    return _CLASSES[position % len(_CLASSES)]


def face_colour(track: int) -> tuple[int, int, int]:
    """Colour of a face's box, 0..255 RGB."""
    return _FACES[track % len(_FACES)]
