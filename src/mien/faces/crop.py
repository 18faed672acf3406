"""The face crop: the same code for preparation, training and prediction. No torch here."""

from __future__ import annotations

from math import atan2, exp, floor, log, remainder, tau
from typing import Protocol

from mien.faces.recipe import CropRecipe
from mien.faces.types import Floats, Image
from mien.faces.warp import Patch, Square, cut


class Placed(Protocol):
    """Anything with a face's place: a ``TrackedFace`` or a ``Detection``."""

    @property
    def box(self) -> Floats:
        """x0, y0, x1, y1 in pixels."""

    @property
    def landmarks(self) -> Floats | None:
        """``(5, 2)``, the eyes first; or None."""


class Cropper:
    """Cuts faces out as a recipe says.

    The square's centre, side and angle pass a first-order low-pass with the recipe's time constant, by presentation
    time and causally: a crop depends on the past of its track alone, so a stream and a file give the same pixels.
    A jump that no head makes (a cut) restarts the filter.

    Args:
        recipe: how to cut.
    """

    def __init__(self, recipe: CropRecipe) -> None:
        self.recipe = recipe
        self._last: dict[int, tuple[float, Square]] = {}

    def crop(self, track: int, time: float, image: Image, face: Placed) -> Image:
        """The face of one frame, uint8 ``(size, size, 3)``.

        Args:
            track: id of the track; each has its own filter.
            time: presentation time in seconds, growing within a track.
            image: uint8 ``(H, W, 3)``.
            face: where the face is in it.
        """
        return self.cut(image, self.place(track, time, face))

    def cut(self, image: Image, place: Square | Patch) -> Image:
        """What a place of this recipe shows of a picture."""
        if isinstance(place, Patch):
            return place.stretched(image, self.recipe.size)
        return cut(image, place, self.recipe.size, self.recipe.fill)

    def place(self, track: int, time: float, face: Placed) -> Square | Patch:
        """What ``crop`` cuts: a smoothed square (advances the track's filter); in published shapes the box itself."""
        if self.recipe.shape != "square":
            return patch_of(face, self.recipe)
        square = square_of(face, self.recipe)
        if track in self._last and self.recipe.smoothing > 0:
            before, last = self._last[track]
            if not _jumped(last, square):
                square = _blend(last, square, 1 - exp(-max(time - before, 0.0) / self.recipe.smoothing))
        self._last[track] = time, square
        return square

    def forget(self, track: int) -> None:
        """Drop the filter of a track that has ended."""
        self._last.pop(track, None)


def square_of(face: Placed, recipe: CropRecipe) -> Square:
    """Where a recipe cuts one face, before smoothing."""
    x0, y0, x1, y1 = map(float, face.box)
    angle = 0.0
    if recipe.align == "eyes" and face.landmarks is not None:
        (left_x, left_y), (right_x, right_y) = face.landmarks[:2]
        angle = atan2(right_y - left_y, right_x - left_x)
    side = max(x1 - x0, y1 - y0, 1.0) * (1 + 2 * recipe.margin)
    return Square((x0 + x1) / 2, (y0 + y1) / 2, side, angle)


def patch_of(face: Placed, recipe: CropRecipe) -> Patch:
    """Where a recipe of a published shape cuts one face."""
    rounded = recipe.shape == "avfusion"
    left, top, right, bottom = (round(edge) if rounded else floor(max(edge, 0.0)) for edge in map(float, face.box))
    return Patch(left, top, right, bottom, averaged=not rounded)


def _jumped(last: Square, new: Square) -> bool:
    """Whether a face moved half a crop or changed its size by half between two frames."""
    far = max(abs(new.x - last.x), abs(new.y - last.y)) > 0.5 * last.side
    return far or abs(log(new.side / last.side)) > log(1.5)


def _blend(last: Square, new: Square, share: float) -> Square:
    """``last`` moved towards ``new`` by a share 0..1; sides by ratio, angles the short way round."""
    turn = remainder(new.angle - last.angle, tau)
    return Square(
        last.x + share * (new.x - last.x),
        last.y + share * (new.y - last.y),
        last.side * (new.side / last.side) ** share,
        last.angle + share * turn,
    )
