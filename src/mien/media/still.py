"""Single pictures from files: JPEG the quick way, all other kinds (and JPEG that is odd or damaged) with Pillow."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mien.errors import MienError
from mien.media.files import HeldFile
from mien.media.limits import LIMITS, Limits

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
_LARGEST = 256 * 2**20  # bytes of a picture's file, which is read whole
# without waiting for the other end of a pipe
_READING = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_JPEG = b"\xff\xd8\xff"
_COLOURS = {"YCbCr", "RGB", "Gray"}  # of JPEG; printers' CMYK is left to Pillow


class Still:
    """A picture of a file, read but not decoded yet.

    Both decoders give the same bytes: JPEG standards leave them room, but both are libjpeg-turbo with the accurate
    transform and smooth chroma.

    Args:
        file: JPEG, PNG, BMP or WebP; told apart by what they hold, not by their names.
        limits: of its pixels.

    Attributes:
        size: (width, height).

    Raises:
        MienError: the file cannot be read, is no such picture or is too large.
    """

    def __init__(self, file: str | os.PathLike[str], limits: Limits = LIMITS) -> None:
        self._file = file
        self._data = file.data if isinstance(file, HeldFile) else _bytes_of(file)
        size = _jpeg_size(self._data)
        self._quick = size is not None
        if size is None:
            with self._pillow() as picture:
                size = picture.size
        self.size: tuple[int, int] = size
        limits.check(os.fspath(file), "pixels", size[0] * size[1], "pixels")

    def decode_into(self, pixels: NDArray[np.uint8]) -> None:
        """Write the picture's RGB into ``pixels``: uint8 ``(H, W, 3)`` of its ``size``, contiguous.

        Raises:
            MienError: the picture is damaged.
        """
        if self._quick:
            try:
                simplejpeg.decode_jpeg(self._data, "RGB", buffer=pixels)
            except ValueError:  # whether the damage is one to overlook is Pillow's to say
                self._quick = False
        if not self._quick:
            with self._pillow() as picture:
                pixels[:] = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))

    @contextmanager
    def _pillow(self) -> Iterator[Image.Image]:
        """The picture, opened; what goes wrong with it becomes a ``MienError``."""
        try:
            # formats named: Pillow would look into them in an order of its own, with others before
            with Image.open(io.BytesIO(self._data), formats=_FORMATS) as picture:
                yield picture
        except UnidentifiedImageError:
            raise MienError(f"{self._file}: not a readable picture (none of {', '.join(_FORMATS)})") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise MienError(f"{self._file}: not a readable picture ({error})") from error


def _bytes_of(file: str | os.PathLike[str]) -> bytes:
    try:
        with open(os.open(file, _READING), "rb", buffering=0) as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise MienError(f"{os.fspath(file)}: is not a regular file (a device or pipe)")
            if status.st_size > _LARGEST:
                raise MienError(f"{os.fspath(file)}: over {_LARGEST // 2**20} MiB, too large for one picture")
            return opened.readall()
    except OSError as error:
        raise MienError(f"{os.fspath(file)}: cannot be read ({error.strerror})") from None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a plain JPEG picture; None for all others."""
    if not data.startswith(_JPEG):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (width, height) if colours in _COLOURS else None
