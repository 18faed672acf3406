"""Pictures of short MP4 clips at random places, many clips in a row: the table is read, no demuxer is set up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.media.files import HeldFile, check_file
from mien.media.limits import LIMITS, Limits
from mien.media.picture import Orientation, Renderer
from mien.media.table import SampleTable, read_table
from mien.media.video import VideoReader

_LARGEST = 16 * 2**20  # bytes of a file that is read whole


class ShortClip:
    """Pictures of an MP4 clip held in memory; gives exactly what a new ``VideoReader`` gives.

    What it gives depends on the clip and the numbers asked for alone, where parts of the clip are damaged too.

    Attributes:
        times: float64 ``(N,)`` seconds; 0 is the first picture.
        size: (width, height) of the pictures.
    """

    def __init__(self, path: str | os.PathLike[str], data: bytes, table: SampleTable) -> None:
        self.path = path
        self._data = data
        self._table = table
        self._shown = np.argsort(table.pts)  # place in the order of decoding of every picture
        shown = table.pts[self._shown]
        self.times: NDArray[np.float64] = (shown - shown[0]) * (1 / table.scale)
        self.size = table.size

    def at_indices(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Pictures by number, in any order, repeats allowed: uint8 ``(T, H, W, 3)``.

        Raises:
            MienError: a number outside 0..N-1, or a picture that does not decode.
        """
        wanted = np.asarray(indices)
        pictures = (
            self._pictures(wanted) if wanted.size and 0 <= wanted.min() <= wanted.max() < len(self.times) else None
        )
        if pictures is None:  # damage, or a number that is not there: the general way knows what to do or to say
            file = HeldFile(os.fspath(self.path), self._data)
            with VideoReader(file) as video:
                return video.at_indices(indices)
        return pictures

    def _pictures(self, wanted: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """As ``at_indices``; None where the decoder does not give all of them as the table promises."""
        table = self._table
        places: dict[int, list[int]] = {}
        for place, time in enumerate(table.pts[self._shown[wanted]].tolist()):
            places.setdefault(time, []).append(place)
        pictures = np.empty((len(wanted), self.size[1], self.size[0], 3), dtype=np.uint8)
        context, render = _decoder(table), Renderer(Orientation(), self.size, False, 1)
        found = 0
        for frame in self._decoded(context, wanted):
            there = places.get(frame.pts)
            if there is None:
                continue
            if frame.is_corrupt or (frame.width, frame.height) != self.size or not (found or _plain(frame, context)):
                return None
            image = render(frame)
            for place in there:
                pictures[place] = image
            found += 1
        return pictures if found == len(places) else None

    def _decoded(self, context: Any, wanted: NDArray[np.int64]) -> Iterator[Any]:
        """Frames of all groups of pictures that hold a wanted one, from the group's key to its last wanted picture."""
        table = self._table
        places = np.unique(self._shown[wanted])
        groups = np.cumsum(table.keys)[places]
        keys = np.flatnonzero(table.keys)
        try:
            for group in np.unique(groups).tolist():
                for place in range(int(keys[group - 1]), int(places[groups == group][-1]) + 1):
                    first = int(table.offsets[place])
                    packet = av.Packet(self._data[first : first + int(table.sizes[place])])
                    packet.pts = int(table.pts[place])
                    yield from context.decode(packet)
            yield from context.decode(None)
        except av.FFmpegError:
            return


def _decoder(table: SampleTable) -> Any:
    """A new decoder: what one puts in the place of lost parts may be of what it decoded before, of another clip."""
    context = av.CodecContext.create("h264", "r")
    context.extradata = table.header
    context.thread_count = 1
    if table.colour is not None:
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = table.colour
    return context


def _plain(frame: Any, context: Any) -> bool:
    """True where the stream itself asks for no other shape than the container does."""
    return (context.sample_aspect_ratio or 1) == 1 and Orientation.of(frame) == Orientation()


def open_clip(path: str | os.PathLike[str], limits: Limits = LIMITS) -> ShortClip | None:
    """A short MP4 clip as ``mien prepare`` writes it; None for every other file, which ``VideoReader`` then reads.

    Raises:
        MienError: the file is missing, empty or no regular file.
    """
    file = check_file(path, limits)
    if isinstance(file, HeldFile):
        data = file.data
    elif file.stat().st_size <= _LARGEST:
        data = file.read_bytes()
    else:
        return None
    table = read_table(data) if len(data) <= _LARGEST else None
    if table is None or table.size[0] * table.size[1] > limits.pixels or len(table.pts) > limits.frames:
        return None
    clip = ShortClip(file, data, table)
    return clip if clip.times[-1] < limits.duration else None
