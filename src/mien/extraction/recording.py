"""Streams of a stretch of one recording, as the model that reads them was told they are made."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mien.data.manifest import Row
from mien.data.streams import Stream, stream_tensors
from mien.errors import MienError, OutOfMemory, UsageError
from mien.extraction.contract import Extractor, Request
from mien.extraction.kinds import BATCH, make_extractor
from mien.extraction.material import Material
from mien.extraction.timing import STEPS
from mien.models.specification import StreamInput


class RecordingStreams:
    """The extractors of a model's streams, loaded once.

    Args:
        streams: of the model; each must say its extractor.
        device, batch: where extractors run, and on how many pictures or windows at once.

    Raises:
        UsageError: a stream does not say what extracts it, or that cannot be had here.
    """

    def __init__(self, streams: tuple[StreamInput, ...], device: str = "cpu", batch: int = BATCH) -> None:
        self.streams = streams
        self.extractors: dict[str, Extractor] = {}
        for stream in streams:
            kind, _, source = stream.extractor.partition(":")
            if not kind:
                raise UsageError(
                    f"the model does not say what extracts its stream {stream.name!r}; "
                    "extract a manifest (mien extract) and judge it there (mien evaluate)"
                )
            self.extractors[stream.name] = make_extractor(Request(stream.name, kind, source), device, batch)

    def read(self, path: Path, start: float, end: float) -> tuple[dict[str, Tensor], list[str]]:
        """Tensors ``(1, steps, width)`` of a stretch in seconds, and which streams there were.

        Raises:
            MienError: there was none.
        """
        steps = self.streams[0].steps or STEPS
        clip = Material(Row(str(path), path, start, end), steps)
        found: dict[str, Stream | None] = {}
        reasons = []
        for name, extractor in self.extractors.items():
            try:
                found[name] = extractor.of(clip)
            except (UsageError, OutOfMemory):  # true of every stretch alike
                raise
            except MienError as error:
                reasons.append(str(error))
        if not found:
            raise MienError(reasons[0])
        tensors = stream_tensors(found, self.streams, steps)
        return {name: torch.as_tensor(value)[None] for name, value in tensors.items()}, list(found)
