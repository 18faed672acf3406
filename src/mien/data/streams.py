"""The store of a corpus's feature streams: one safetensors file, read lazily, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from mien.errors import MienError, UsageError
from mien.files import complete
from mien.models.specification import StreamInput

STORE = "streams.safetensors"
_FORMAT = "mien-streams-1"


@dataclass(frozen=True)
class Stream:
    """One clip's features: ``values`` float32 ``(T, width)``, ``times`` float64 ``(T,)`` seconds on the clip's file."""

    values: NDArray[np.float32]
    times: NDArray[np.float64]


class StreamStore:
    """Features by stream name and clip id.

    Tensors are ``<stream>/<id>`` and ``<stream>/<id>/times``; the header says of every stream its width, extractor and
    revision, and of every clip without it why. The file is opened on first use in each process.

    Raises:
        UsageError: there is no such file.
        MienError: it is no store.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise UsageError(f"{self.path}: no store of feature streams; make it with `mien extract`")
        try:
            with safe_open(self.path, framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get("mien", "{}"))
                self.keys = frozenset(file.keys())
        except (SafetensorError, OSError, ValueError) as error:
            raise MienError(f"{self.path} is damaged ({error}); extract again") from error
        if header.get("format") != _FORMAT:
            raise MienError(f"{self.path} is no store of feature streams; make one with `mien extract`")
        self.streams = {name: StreamInput(**values) for name, values in header["streams"].items()}
        self.failures: dict[str, dict[str, str]] = header["failures"]
        self._file: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}  # every process opens the file itself

    def read(self, name: str, id_: str) -> Stream | None:
        """A clip's stream; None where the store has none."""
        key = f"{name}/{id_}"
        if key not in self.keys:
            return None
        if self._file is None:
            self._file = safe_open(self.path, framework="numpy")
        return Stream(self._file.get_tensor(key), self._file.get_tensor(f"{key}/times"))

    def ids(self, name: str) -> set[str]:
        """Clips that have a stream."""
        prefix = f"{name}/"
        return {key.removeprefix(prefix) for key in self.keys if key.startswith(prefix) and not key.endswith("/times")}

    def check(self, wanted: tuple[StreamInput, ...]) -> None:
        """``UsageError`` where the store lacks a stream that a model takes, or holds it in another width."""
        for stream in wanted:
            found = self.streams.get(stream.name)
            if found is None:
                there = ", ".join(self.streams) or "none"
                raise UsageError(f"{self.path} has no stream {stream.name!r} (it has {there}); extract it first")
            if found.width > stream.width:
                raise UsageError(
                    f"{self.path}: stream {stream.name} has {found.width} values per step, the model takes "
                    f"{stream.width}; set model.arguments.streams.{stream.name} to its width"
                )

    def tensors(self, id_: str, wanted: tuple[StreamInput, ...]) -> dict[str, Tensor]:
        """What a model takes of a clip: each stream ``(T, width)`` and ``<name>_present`` ``(T,)``.

        A missing stream is zeros and not present, a narrower one is followed by zeros.

        Raises:
            MienError: the clip has none of the streams, or they differ in steps.
        """
        found = {stream.name: self.read(stream.name, id_) for stream in wanted}
        steps = {len(stream.values) for stream in found.values() if stream is not None}
        if len(steps) != 1:
            had = "none of the streams" if not steps else f"streams of {' and '.join(map(str, sorted(steps)))} steps"
            raise MienError(f"{self.path}: clip {id_!r} has {had} that the model takes")
        return stream_tensors(found, wanted, steps.pop())


def stream_tensors(
    found: Mapping[str, Stream | None], wanted: tuple[StreamInput, ...], steps: int
) -> dict[str, Tensor]:
    """Streams as tensors with their masks; see ``StreamStore.tensors``."""
    tensors: dict[str, Tensor] = {}
    for stream in wanted:
        values = torch.zeros(steps, stream.width)
        one = found.get(stream.name)
        if one is not None:
            values[:, : one.values.shape[1]] = torch.from_numpy(one.values)
        tensors[stream.name] = values
        tensors[f"{stream.name}_present"] = torch.full((steps,), one is not None)
    return tensors


def write_store(
    path: Path,
    streams: Mapping[str, StreamInput],
    content: Mapping[tuple[str, str], Stream],
    failures: Mapping[str, Mapping[str, str]],
) -> None:
    """Write a store: (stream, id) → features; under its final name only when complete. Equal content, equal bytes."""
    tensors: dict[str, NDArray[Any]] = {}
    for (name, id_), stream in sorted(content.items()):
        tensors[f"{name}/{id_}"] = np.ascontiguousarray(stream.values, dtype=np.float32)
        tensors[f"{name}/{id_}/times"] = np.ascontiguousarray(stream.times, dtype=np.float64)
    header = {
        "format": _FORMAT,
        "streams": {name: streams[name].model_dump() for name in sorted(streams)},
        "failures": failures,
    }
    with complete(path) as part:
        save_file(tensors, part, {"mien": json.dumps(header, sort_keys=True)})
