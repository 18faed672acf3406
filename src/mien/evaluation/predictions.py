"""What a model says about clips: the one forward path that evaluation and validation during training share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data.dataset import Failure
from mien.errors import MienError, UsageError
from mien.evaluation.tallies import Floats
from mien.models.contract import Encoder, Features, Recogniser
from mien.nn.device import send
from mien.tasks import Task

MOST_VIEWS = 16
# What a batch holds beside model inputs.
NOT_INPUTS = frozenset({"clip", "index", "target", "times"})


@dataclass(frozen=True)
class ClipPrediction:
    """One clip, its views merged.

    Attributes:
        id: of the manifest's row.
        output: ``(T, K)`` what the task reads, one column per ``task.columns()``, then what its ``digest`` leaves of
            its details where it has any; T is 1 for a task per clip.
        truth: int64 ``(T,)`` class ids (-100: unknown) or float64 ``(T, K)`` values (NaN: unknown).
        times: ``(T,)`` seconds of the frames; NaN for a task per clip.
        views: number of model inputs that were merged.
        features: pooled features of the encoder ``(D,)``, mean over the views; None where they were not kept.
    """

    id: str
    output: Floats
    truth: NDArray[Any]
    times: Floats
    views: int
    features: Floats | None = None


@dataclass(frozen=True)
class Predictions:
    """Clips in the order of their ids, and those that could not be read."""

    clips: tuple[ClipPrediction, ...]
    failures: tuple[Failure, ...] = ()

    @classmethod
    def join(cls, parts: Iterable[Predictions]) -> Predictions:
        """All of several processes' predictions, each clip once: the same whatever their number.

        Long clips that were judged in parts become whole; one with a part that could not be read is a failure.
        Metrics are computed from the joined predictions; averages of the processes' own metrics would be wrong.
        """
        pieces: dict[str, list[ClipPrediction]] = {}
        failures: dict[str, Failure] = {}
        for part in parts:
            for clip in part.clips:
                pieces.setdefault(clip.id, []).append(clip)
            failures |= {failure.id: failure for failure in part.failures}
        clips = tuple(_whole(pieces[id_]) for id_ in sorted(pieces.keys() - failures.keys()))
        return cls(clips, tuple(failures[id_] for id_ in sorted(failures)))

    @property
    def ids(self) -> list[str]:
        """Ids of the clips, in their order."""
        return [clip.id for clip in self.clips]

    @property
    def output(self) -> Floats:
        """``(N, K)`` rows of all clips, one after the other."""
        return np.concatenate([clip.output for clip in self.clips])

    @property
    def truth(self) -> NDArray[Any]:
        """``(N,)`` or ``(N, K)``, as ``ClipPrediction.truth``."""
        return np.concatenate([clip.truth for clip in self.clips])

    @property
    def clip_of(self) -> NDArray[np.int64]:
        """``(N,)`` number of the clip that a row belongs to."""
        return np.repeat(np.arange(len(self.clips)), [len(clip.output) for clip in self.clips])


def _whole(pieces: list[ClipPrediction]) -> ClipPrediction:
    """Parts of one clip in the order of time; frames and clips that come twice are taken once."""
    if len(pieces) == 1 or np.isnan(pieces[0].times).any():
        return pieces[-1]
    times, first = np.unique(np.concatenate([piece.times for piece in pieces]), return_index=True)
    output, truth = (np.concatenate([getattr(piece, name) for piece in pieces])[first] for name in ("output", "truth"))
    views = sum(piece.views for piece in pieces)
    kept = [piece.views * piece.features for piece in pieces if piece.features is not None]
    features = np.sum(kept, axis=0) / views if len(kept) == len(pieces) else None
    return ClipPrediction(pieces[0].id, output, truth, times, views, features)


def predict_views(
    model: nn.Module,
    task: Task,
    batches: Iterable[Mapping[str, Any]],
    bf16: bool = False,
    most_views: int = MOST_VIEWS,
    progress: Callable[[int], None] | None = None,
    features: bool = False,
) -> Predictions:
    """Run a model over batches of ``mien.data.loader`` and merge the views of every clip.

    The model runs in eval mode on the device where it lies, without gradients; its modules' modes are put back.

    Args:
        model: ``inputs`` → raw outputs ``(B, K)``, or ``(B, T, K)`` for a task per frame.
        task: reads the outputs and merges views.
        batches: all views of a clip stand in the same batch.
        bf16: multiply matrices in bfloat16 (autocast).
        most_views: views that go through the model at once; bounds memory where long clips have many.
        progress: told the number of clips done after every batch.
        features: keep pooled features of the encoder too; the model must be a ``Recogniser``.

    Raises:
        MienError: the model gives values that are not finite.
        UsageError: a task per frame meets clips without frames.
    """
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    watch = _Watch(model.encoder if features and isinstance(model, Recogniser) else None)
    clips: list[ClipPrediction] = []
    failures: list[Failure] = []
    done: set[str] = set()
    try:
        for batch in batches:
            failures += batch["failures"]
            if batch["ids"]:
                outputs = read_views(model, task, batch, device, bf16, most_views)
                clips += watch.join(batch, _merged(task, batch, outputs))
            if progress is not None:
                done.update(batch["ids"], (failure.id for failure in batch["failures"]))
                progress(len(done))
            del batch  # gone before the next one is read
    finally:
        watch.end()
        for module, training in modes:
            module.training = training
    return Predictions.join([Predictions(tuple(clips), tuple(failures))])


class _Watch:
    """Keeps what an encoder pools from every view that goes through it, until ``end``; None keeps nothing."""

    def __init__(self, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._pooled: list[Tensor] = []
        if encoder is None:
            return
        forward = encoder.forward_features

        def watched(inputs: Mapping[str, Tensor]) -> Features:
            found = forward(inputs)
            self._pooled.append(found.pooled.detach())
            return found

        encoder.forward_features = watched  # type: ignore[method-assign]

    def join(self, batch: Mapping[str, Any], clips: list[ClipPrediction]) -> list[ClipPrediction]:
        """The clips of a batch with what was pooled from their views."""
        if self._encoder is None:
            return clips
        pooled, self._pooled = torch.cat(self._pooled).cpu().double().numpy(), []
        clip = batch["clip"].numpy()
        return [replace(one, features=pooled[clip == number].mean(axis=0)) for number, one in enumerate(clips)]

    def end(self) -> None:
        if self._encoder is not None:
            del self._encoder.forward_features


@torch.no_grad()
def read_views(
    model: nn.Module,
    task: Task,
    batch: Mapping[str, Any],
    device: torch.device,
    bf16: bool = False,
    most_views: int = MOST_VIEWS,
) -> Floats:
    """What the task reads for every view of a batch, ``(B, ...)``, then its details; arguments as ``predict_views``."""
    inputs = {name: value for name, value in batch.items() if isinstance(value, Tensor) and name not in NOT_INPUTS}
    outputs = []
    for start in range(0, len(batch["clip"]), most_views):
        part = {name: send(value[start : start + most_views], device) for name, value in inputs.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            raw = model(part)
        read, details = task.read(raw), task.details(raw)
        outputs.append((read if details is None else torch.cat([read, details], dim=-1)).cpu().double().numpy())
    return np.concatenate(outputs)


def _merged(task: Task, batch: Mapping[str, Any], outputs: Floats) -> list[ClipPrediction]:
    clip = batch["clip"].numpy()
    target = batch["target"].numpy()
    clips = []
    for number, id_ in enumerate(batch["ids"]):
        views = np.flatnonzero(clip == number)
        if not np.isfinite(outputs[views]).all():
            raise MienError(f"the model gives values that are not finite for clip {id_!r}; its weights are unusable")
        if task.config.level == "clip":
            output, truth = task.digest(task.merge(outputs[views])[None]), target[views[:1]]
            clips.append(ClipPrediction(id_, output, _exact(truth), np.full(1, np.nan), len(views)))
        else:
            clips.append(_merged_frames(task, id_, batch, outputs, views))
    return clips


def _merged_frames(
    task: Task, id_: str, batch: Mapping[str, Any], outputs: Floats, views: NDArray[np.int64]
) -> ClipPrediction:
    """Overlapping windows of a clip, merged frame by frame; every frame of the file appears once."""
    index, times = batch["index"].numpy()[views], batch["times"].numpy()[views]
    if index.shape[1] == 0 or index.shape != outputs[views].shape[:2]:
        raise UsageError(
            f"clip {id_!r} has {index.shape[1]} frame(s) in a view and the model answers for "
            f"{outputs.shape[1]}; per-frame tasks need pictures"
        )
    position = np.arange(index.shape[1])
    seen = (index >= 0) & (position < batch["length"].numpy()[views, None])
    values, truth = outputs[views][seen], batch["target"].numpy()[views][seen]
    order = np.argsort(index[seen], kind="stable")
    _, first, counts = np.unique(index[seen][order], return_index=True, return_counts=True)
    merged = np.empty((len(first), values.shape[1]))
    for count in np.unique(counts):
        frames = np.flatnonzero(counts == count)
        same_frame = order[first[frames] + np.arange(count)[:, None]]
        merged[frames] = task.merge(values[same_frame])
    kept = order[first]
    return ClipPrediction(id_, task.digest(merged), _exact(truth[kept]), times[seen][kept], len(views))


def _exact(truth: NDArray[Any]) -> NDArray[Any]:
    return truth.astype(np.int64 if np.issubdtype(truth.dtype, np.integer) else np.float64)
