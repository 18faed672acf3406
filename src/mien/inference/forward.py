"""Forward passes over windows, in batches, beside the decoding of what comes next."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.checkpoints.bundle import Bundle
from mien.errors import UsageError
from mien.inference.settings import PredictSettings
from mien.inference.stopwatch import Stopwatch
from mien.memory import smaller, within_memory
from mien.models.contract import Recogniser
from mien.models.device import device_named, placed
from mien.models.familiarity import unfamiliarity
from mien.models.specification import Calibration
from mien.nn.device import send

Values = NDArray[np.float64]  # (T', K): one row for a whole window, or one per output over time
Key = TypeVar("Key")
_BATCH = 8  # windows per forward pass on a GPU


class Predictor:
    """Windows → what the task reads from them: probabilities or values, named by ``outputs``."""

    def __init__(self, bundle: Bundle, settings: PredictSettings) -> None:
        if bundle.task is None or not isinstance(bundle.model, Recogniser):
            raise UsageError("this bundle is a bare encoder without a task; use embed, or train it on a task first")
        self.task = bundle.task
        self.kind = self.task.kind
        self.outputs = self.task.columns()
        self.per_frame = self.task.config.level == "frame"
        self.calibration = bundle.specification.calibration
        self.width = len(self.outputs) + self._tells_strangeness
        self._model = placed(bundle.model, settings.device)
        self._settings = settings
        self.lighter = lighter(settings)

    @property
    def _tells_strangeness(self) -> bool:
        return self.calibration is not None and self.calibration.limit is not None

    def __call__(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``(B, T', width)``: the outputs, then how unlike training clips the window is, where that is known."""
        with torch.inference_mode(), _precision(self._settings):
            features = self._model.encoder.forward_features(batch)
            values = self.task.read(self._model.head(features, batch))
        values = values if self.per_frame else values[:, None]
        if not self._tells_strangeness:
            return values
        assert self.calibration is not None
        strange = unfamiliarity(features.pooled, self.calibration).to(values)
        return torch.cat([values, strange[:, None, None].expand(-1, values.shape[1], 1)], dim=-1)


class Embedder:
    """Windows → features of the encoder, named f0, f1, ..."""

    kind = "features"
    calibration: Calibration | None = None

    def __init__(self, bundle: Bundle, settings: PredictSettings) -> None:
        encoder = bundle.encoder
        self.outputs = tuple(f"f{i}" for i in range(encoder.feature_dim))
        self.width = len(self.outputs)
        self.per_frame = settings.features == "frames"
        self._encoder = placed(encoder, settings.device)
        self._settings = settings
        self.lighter = lighter(settings)

    def __call__(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``(B, T', D)``."""
        with torch.inference_mode(), _precision(self._settings):
            features = self._encoder.forward_features(batch)
        if not self.per_frame:
            return features.pooled.float()[:, None]
        if features.frames is None:
            raise UsageError("this encoder gives no features over time; take features=pooled")
        return features.frames.float()


class Reader(Protocol):
    """What is done with windows: ``Predictor``, ``Embedder``, or an explanation of the model's answers.

    Attributes:
        kind: of the timeline that comes of it.
        outputs: names of the columns.
        width: of an answer; what goes beyond ``outputs`` is how unlike training clips the window is.
        per_frame: rows lie at the recording's frames unless told otherwise.
        calibration: of the bundle, where answers are to be abstained from.
        lighter: options that make a forward pass need less memory, beside fewer windows.
    """

    kind: str
    outputs: tuple[str, ...]
    width: int
    per_frame: bool
    calibration: Calibration | None
    lighter: tuple[str, ...]

    def __call__(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``(B, T', width)``: one row for a whole window, or one per output over time."""


def _precision(settings: PredictSettings) -> torch.autocast:
    kind = device_named(settings.device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=settings.precision == "bf16")


def lighter(settings: PredictSettings) -> tuple[str, ...]:
    """See ``Reader``, for readers that follow ``settings.precision``; processors hold bfloat16 beside float32."""
    on_cpu = device_named(settings.device).type == "cpu"
    return ("--precision bf16",) if settings.precision == "fp32" and not on_cpu else ()


class Batches(Generic[Key]):
    """Gathers windows into batches and runs them beside the caller; answers come in the order of the windows.

    On the CPU several batches run side by side on one core each: that scales better than splitting every layer over
    the cores, and does not suffer when decoding and detection take their share.

    Args:
        reader: what is done with a batch.
        settings: batch size, device and threads.
        clock: measures the forward passes as ``model``.
    """

    def __init__(self, reader: Reader, settings: PredictSettings, clock: Stopwatch) -> None:
        self._reader = reader
        self._clock = clock
        self._device = device_named(settings.device)
        on_cpu = self._device.type == "cpu"
        self._size = settings.batch or (1 if on_cpu else _BATCH)
        self._side_by_side = (settings.threads or os.cpu_count() or 1) if on_cpu else 1
        self._pool = ThreadPoolExecutor(
            self._side_by_side, "mien-model", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._waiting: list[tuple[Key, dict[str, Tensor] | None]] = []
        self._running: deque[tuple[list[Key], Future[list[Values | None]]]] = deque()

    def put(self, key: Key, tensors: dict[str, Tensor] | None = None) -> None:
        """Add a window; without ``tensors`` a mark that comes back in its place, without values."""
        self._waiting.append((key, tensors))
        if sum(given is not None for _, given in self._waiting) >= self._size:
            self._launch()

    def answers(self, all_of_them: bool = False) -> Iterator[tuple[Key, Values | None]]:
        """What is ready, waiting where too much is under way; with ``all_of_them`` everything that was put in."""
        if all_of_them:
            self._launch()
        while self._running and (
            all_of_them or len(self._running) > 2 * self._side_by_side or self._running[0][1].done()
        ):
            keys, future = self._running.popleft()
            yield from zip(keys, future.result(), strict=True)

    def close(self) -> None:
        """Stop; what is under way is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(torch.get_num_threads())  # what the workers set is also the start value of new threads

    def _launch(self) -> None:
        if self._waiting:
            keys = [key for key, _ in self._waiting]
            future = self._pool.submit(self._run, [tensors for _, tensors in self._waiting])
            self._running.append((keys, future))
            self._waiting = []

    def _run(self, windows: Sequence[dict[str, Tensor] | None]) -> list[Values | None]:
        answers: list[Values | None] = [None] * len(windows)
        with self._clock("model"), self._within_memory():
            for places in _alike(windows):
                names = windows[places[0]] or {}
                batch = {
                    name: send(torch.stack([(windows[place] or {})[name] for place in places]), self._device)
                    for name in names
                }
                for place, values in zip(places, self._reader(batch).cpu().numpy(), strict=True):
                    answers[place] = values.astype(np.float64)
        return answers

    def _within_memory(self) -> AbstractContextManager[None]:
        at_once = self._size * self._side_by_side
        work = f"with {at_once} window{'s' if at_once > 1 else ''} at once on {self._device}"
        return within_memory(work, smaller(self._size, self._side_by_side, self._device.type, *self._reader.lighter))


def _alike(windows: Sequence[dict[str, Tensor] | None]) -> list[list[int]]:
    """Places of windows that can be stacked: the same shapes. Sound windows may differ by a sample."""
    groups: dict[tuple[tuple[str, tuple[int, ...]], ...], list[int]] = {}
    for place, tensors in enumerate(windows):
        if tensors is not None:
            shape = tuple((name, tuple(tensor.shape)) for name, tensor in tensors.items())
            groups.setdefault(shape, []).append(place)
    return list(groups.values())
