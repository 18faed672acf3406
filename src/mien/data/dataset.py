"""Clips of a manifest as model inputs. An item is a pure function of (seed, epoch, id); nothing is ever replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mien.data.annotation import UNLABELLED, frame_targets
from mien.data.cache import FrameCache
from mien.data.clips import Reading, read_views
from mien.data.manifest import Manifest, Row
from mien.data.sampling import CoveringWindows, Sampling, View
from mien.data.seeding import generator
from mien.data.shards import Extent, holding
from mien.data.sources import files_of, has_clock, open_frames
from mien.data.streams import STORE, StreamStore
from mien.data.targets import TargetSpec, clip_targets
from mien.errors import MienError, UsageError
from mien.media.clip import Clip
from mien.models.specification import Inputs

Transform = Callable[[Clip, np.random.Generator], dict[str, Tensor]]
Extras = Callable[[np.random.Generator, Mapping[str, Tensor], Row], dict[str, Tensor]]


@dataclass(frozen=True)
class Failure:
    """A clip that could not be read: its id, file and the reason in one line."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Item:
    """One clip's views.

    Attributes:
        id: of the manifest's row.
        views: tensors of every view: what the transform made; ``times`` float64 ``(T,)`` seconds and ``index`` int64
            ``(T,)`` position in the file; ``length`` int64, frames before the last one repeats; ``target`` if any:
            int64 ``()`` or float32 ``(K,)`` per clip, int64 ``(T,)`` or float32 ``(T, K)`` per frame, with -100 or NaN
            where there is no label.
    """

    id: str
    views: tuple[dict[str, Tensor], ...]


class ClipDataset(Dataset[Item | Failure | MienError]):
    """Clips of a manifest.

    Args:
        manifest: the corpus.
        ids: rows to use; sorted, so that the order of rows never matters.
        inputs: what the model takes.
        sampling: which views are cut from a clip.
        transform: clip and generator → tensors without batch dimension.
        targets: columns with the truth, None for self-supervised work.
        extras: what a pretext adds to each view, given its tensors and the row (a mask, what was heard).
        seed: of the run.
        streams: store of feature streams, for inputs that name some; by default beside the manifest.
        cache: MiB of decoded frames that every process that reads may keep in memory.

    Raises:
        UsageError: ids, columns or targets that are not there or not allowed, before anything is read.
    """

    def __init__(
        self,
        manifest: Manifest,
        ids: Sequence[str],
        inputs: Inputs,
        sampling: Sampling,
        transform: Transform,
        targets: TargetSpec | None = None,
        extras: Extras | None = None,
        seed: int = 0,
        streams: Path | str | None = None,
        cache: int = 0,
    ) -> None:
        if not ids:
            raise UsageError(f"{manifest.name}: this part of the data has no clips; look at the split")
        self.manifest = manifest
        self.ids = sorted(ids)
        self.inputs = inputs
        self.sampling = sampling
        self.transform = transform
        self.targets = targets
        self.extras = extras
        self.seed = seed
        self._cache = FrameCache(cache)
        self.clip_targets: Tensor | None = None
        self.streams: StreamStore | None = None
        if inputs.streams:
            self.streams = StreamStore(streams or manifest.root / STORE)
            self.streams.check(inputs.streams)
        manifest.positions(self.ids)
        self._parts = _parts(manifest, self.ids, sampling, inputs)
        if targets is not None and targets.level == "clip":
            self.clip_targets = torch.from_numpy(clip_targets(manifest, self.ids, targets))
        elif targets is not None:
            _need_label_files(manifest, self.ids)

    def __len__(self) -> int:
        """Items of an epoch: clips times ``sampling.repeats``; where clips are covered, one for every part of each."""
        return len(self._parts) if self._parts is not None else len(self.ids) * self.sampling.repeats

    def at_once(self, clips: int) -> int:
        """Items of a batch that shall hold so many clips: parts of long ones, which fill memory alone, come singly."""
        return clips if self._parts is None or len(self._parts) == len(self.ids) else 1

    def shards(self) -> NDArray[np.int64]:
        """Number of the shard that holds each item of an epoch, for an order that reads a few shards at a time.

        Raises:
            UsageError: clips are files of their own.
        """
        extents = [self.manifest.row(id_).extent for id_ in self.ids]
        if None in extents:
            raise UsageError(f"{self.manifest.name}: lies in no shards to shuffle; set data.shuffle_shards to 0")
        numbers = np.unique([extent.shard for extent in extents if extent is not None], return_inverse=True)[1]
        return np.asarray([numbers[self._clip_of(at)] for at in range(len(self))], dtype=np.int64)

    def __getitem__(self, key: tuple[int, int] | int) -> Item | Failure | MienError:
        """``item`` of an epoch and a position (a position alone: of epoch 0), for the loader and torch's own.

        An error is handed over whole, since torch would turn a worker's into a report; ``collate`` raises it.
        """
        try:
            return self.item(*key) if isinstance(key, tuple) else self.item(0, key)
        except MienError as error:
            return error

    def __getitems__(self, keys: Sequence[tuple[int, int] | int]) -> list[Item | Failure | MienError]:
        """Several items, as torch's loader asks for those of a batch: what lies in shards is fetched together."""
        places = [key[1] if isinstance(key, tuple) else key for key in keys]
        with holding(self._outside(self.manifest.row(self.ids[self._clip_of(at)])) for at in places):
            return [self[key] for key in keys]

    def _outside(self, row: Row) -> Extent | None:
        """Where a row lies in a shard, unless all that it is needed for is in memory."""
        per_frame = self.targets is not None and self.clip_targets is None
        return None if self._cache.holds(row) and self.inputs.sound is None and not per_frame else row.extent

    def _clip_of(self, position: int) -> int:
        """Number of the clip that an item is cut from."""
        return self._parts[position][0] if self._parts is not None else position // self.sampling.repeats

    def item(self, epoch: int, position: int) -> Item | Failure:
        """Item at a position of an epoch, or the record of why it could not be read.

        Raises:
            UsageError: the annotation itself is wrong, which no skipping would mend.
        """
        at, repeat = self._clip_of(position), position % self.sampling.repeats if self._parts is None else 0
        sampling = self.sampling if self._parts is None else self._parts[position][1]
        row = self.manifest.row(self.ids[at])
        with holding([self._outside(row)]):
            return self._read(row, at, epoch, repeat, sampling)

    def _read(self, row: Row, at: int, epoch: int, repeat: int, sampling: Sampling) -> Item | Failure:
        try:
            streams = self.streams.tensors(row.id, self.inputs.streams) if self.streams else {}
            rng = generator(self.seed, "views", epoch, row.id, repeat)
            reading = read_views(row, self.inputs, sampling, rng, self._cache)
        except UsageError:
            raise
        except MienError as error:
            return Failure(row.id, str(row.path), str(error))
        rng = generator(self.seed, "transform", epoch, row.id, repeat)
        truth = self._truth(row, at, reading)
        try:
            views = [self._tensors(reading, number, truth, rng, row) for number in range(len(reading.views))]
        except UsageError:
            raise
        except MienError as error:
            return Failure(row.id, str(row.path), str(error))
        return Item(row.id, tuple(view | streams for view in views))

    def _truth(self, row: Row, at: int, reading: Reading) -> Tensor | None:
        """Target of the clip, or of all its frames."""
        if self.clip_targets is not None:
            return self.clip_targets[at]
        if self.targets is None:
            return None
        labels = files_of(row).labels
        assert labels is not None
        return torch.from_numpy(frame_targets(labels, self.targets, reading.times))

    def _tensors(
        self, reading: Reading, number: int, truth: Tensor | None, rng: np.random.Generator, row: Row
    ) -> dict[str, Tensor]:
        clip, view = reading.clips[number], reading.views[number]
        tensors = dict(self.transform(clip, rng))
        tensors["times"] = torch.from_numpy(np.asarray(clip.times, dtype=np.float64))
        tensors["index"] = torch.from_numpy(_answered(view, reading.first))
        tensors["length"] = torch.tensor(view.valid)
        if self.extras is not None:
            tensors |= self.extras(rng, tensors, row)
        if truth is not None:
            tensors["target"] = truth if self.clip_targets is not None else _frames_of(truth, view)
        return tensors


def _answered(view: View, first: int) -> NDArray[np.int64]:
    """Position in the file of a view's frames; -1 for those that another item of the clip answers for."""
    index = view.indices + first
    if view.answers is not None:
        index[: view.answers[0]] = -1
        index[view.answers[1] :] = -1
    return index


def _parts(
    manifest: Manifest, ids: Sequence[str], sampling: Sampling, inputs: Inputs
) -> list[tuple[int, CoveringWindows]] | None:
    """Number of the clip and which part of it, for all items where clips are covered; None elsewhere.

    What cannot be read counts as one part, which then says why.
    """
    if not isinstance(sampling, CoveringWindows) or inputs.video is None:
        return None
    parts = []
    for at, id_ in enumerate(ids):
        row = manifest.row(id_)
        count = 1
        if has_clock(row) or inputs.video.fps is None:
            try:
                with open_frames(row) as source:
                    inside = (source.times >= row.start - 1e-6) & (source.times < row.end - 1e-6)
                    if inside.any():
                        count = sampling.parts(source.times[inside], inputs.video)
            except MienError:
                count = 1
        parts += [(at, replace(sampling, part=part if count > 1 else None)) for part in range(count)]
    return parts


def _frames_of(truth: Tensor, view: View) -> Tensor:
    """Targets of a view's frames; those that only repeat the last frame are unlabelled."""
    target = truth[torch.from_numpy(view.indices)]
    target[view.valid :] = torch.nan if target.is_floating_point() else UNLABELLED
    return target


def _need_label_files(manifest: Manifest, ids: Sequence[str]) -> None:
    if not manifest.has("labels"):
        raise UsageError(
            f"{manifest.name}: targets per frame (task.level=frame) need the column 'labels', a CSV of values over "
            "time for each clip; for one value per clip set task.level=clip"
        )
    for id_ in ids:
        row = manifest.row(id_)
        if row.labels is None or (row.extent is None and not row.labels.is_file()):
            given = "names no label file" if row.labels is None else f"names {row.labels}, which does not exist"
            raise UsageError(f"{manifest.place(id_)} {given}; targets per frame need one for every clip")
        if not has_clock(row):
            raise UsageError(f"{row.path}: a folder of frames has no clock; per-frame targets need the column 'fps'")
