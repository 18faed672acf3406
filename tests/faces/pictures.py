"""Pictures with known faces, made from scikit-image's astronaut (public domain, NASA) with whole-number arithmetic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from skimage import data

Image = NDArray[np.uint8]

FACE = np.array([182.0, 64.0, 269.0, 177.0])  # the face in the astronaut picture, as marked by hand
EYES = np.array([[203.5, 101.0], [246.5, 103.0]])  # centres of the pupils, likewise


def astronaut() -> Image:
    """uint8 (512, 512, 3)."""
    return np.asarray(data.astronaut())


def darker(image: Image, tenths: int) -> Image:
    """Brightness in tenths."""
    return (image.astype(np.uint16) * tenths // 10).astype(np.uint8)


def halved(image: Image) -> Image:
    """Means of 2 x 2 blocks, rounded down."""
    wide = image.astype(np.uint16)
    return ((wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]) // 4).astype(np.uint8)


def canvas(height: int, width: int) -> Image:
    """A faceless background: a smooth slope of greys with colour."""
    y, x = np.mgrid[:height, :width]
    return np.stack([60 + 80 * x // width, 90 + 50 * y // height, 120 - 40 * x // width], axis=-1).astype(np.uint8)


def portrait(face_height: int) -> tuple[Image, NDArray[np.float64]]:
    """Head and shoulders scaled so that the face is so many pixels high, and the face's box in it."""
    cut = astronaut()[20:240, 110:340]
    scale = face_height / (FACE[3] - FACE[1])
    size = (round(cut.shape[1] * scale), round(cut.shape[0] * scale))
    picture = np.asarray(Pillow.fromarray(cut).resize(size, Pillow.Resampling.LANCZOS))
    return picture, (FACE - (110, 20, 110, 20)) * scale


def pasted(background: Image, face_height: int, left: int, top: int) -> tuple[Image, NDArray[np.float64]]:
    """The background with a portrait at a place, and the face's box."""
    picture, box = portrait(face_height)
    result = background.copy()
    height, width = picture.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, result.shape[1]), min(top + height, result.shape[0])
    result[y0:y1, x0:x1] = picture[y0 - top : y1 - top, x0 - left : x1 - left]
    return result, box + np.array([left, top, left, top])


def rotated(image: Image, degrees: float) -> Image:
    """Turned counter-clockwise about the centre, same size."""
    return np.asarray(Pillow.fromarray(image).rotate(degrees, Pillow.Resampling.BICUBIC, fillcolor=(90, 90, 90)))


def reference_pictures() -> dict[str, Image]:
    """Pictures whose detections by the published code are stored in ``data/mtcnn_reference.json``."""
    full = astronaut()
    two = canvas(360, 640)
    two[40:296, 40:296] = halved(full)
    two[60:316, 340:596] = darker(halved(full[:, ::-1]), 6)
    tile = canvas(200, 300)
    tile[30:158, 90:218] = halved(halved(full))
    return {
        "astronaut": full,
        "mirrored": np.ascontiguousarray(full[:, ::-1]),
        "dark": darker(full, 2),
        "half": halved(full),
        "two": two,
        "small": tile,
        "empty": canvas(240, 320),
    }
