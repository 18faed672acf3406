"""The folder of a run: what is in it, when it may be written, and whether it may be gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mien import __version__
from mien.data.protocol import Protocol
from mien.errors import MienError, UsageError
from mien.files import complete, finite, write_json
from mien.lock import entries
from mien.training.recipe import dump_recipe, load_recipe
from mien.training.schema import Recipe

# What may differ when a run is gone on with: none of it changes which clips a step sees or what is made of them.
MAY_CHANGE = ("hardware.", "intervals.", "data.workers", "data.max_unreadable", "optimiser.accumulate")


@dataclass(frozen=True)
class RunResult:
    """What a finished run came to.

    Attributes:
        folder, bundle: the run and the model in it.
        stage: ``pretraining`` or ``fine-tuning``.
        steps, clips, seconds: optimiser steps, clips trained on, time spent training.
        loss: mean training loss over the last logging interval.
        weights: which weights the bundle holds, in words.
        validation: metrics of those weights on the validation part, and ``n``; None where a metric is undefined, empty
            where there is no validation part.
        protocol: digest of the protocol.
        unreadable: reason by id of clips that could not be read.
        warnings: what the run's own figures say against its weights, one line each; empty where nothing.
        precision, devices: how it was computed.
        peak_memory: bytes that the first process held at most, on its device or in all; None where it was not measured.
        energy: joules of this machine while it trained, in the last session; None where the machine does not tell.
        smoothing: what the bundle says is done to its outputs over time, in words; empty: nothing.
    """

    folder: str
    bundle: str
    stage: str
    steps: int
    clips: int
    seconds: float
    loss: float
    weights: str
    validation: dict[str, float | None]
    protocol: str
    unreadable: dict[str, str]
    precision: str
    devices: int
    peak_memory: int | None = None
    energy: float | None = None
    smoothing: str = ""
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """All fields as strict JSON in one line."""
        return json.dumps(finite(asdict(self)), allow_nan=False)


class Run:
    """A run's folder.

    Holds ``recipe.yaml`` (resolved), ``protocol.json``, ``logs/``, ``checkpoints/last.safetensors`` (to go on from),
    ``checkpoints/best-<step>.safetensors`` (weights of the best validation), and once finished ``metrics.json``,
    ``bundle/`` and ``report.html``. Masked pretraining leaves pictures in ``gallery/``. A run that broke off holds
    ``failure.json``: step and reason.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.recipe = self.folder / "recipe.yaml"
        self.protocol = self.folder / "protocol.json"
        self.logs = self.folder / "logs"
        self.last = self.folder / "checkpoints" / "last.safetensors"
        self.metrics = self.folder / "metrics.json"
        self.failure = self.folder / "failure.json"
        self.bundle = self.folder / "bundle"
        self.gallery = self.folder / "gallery"

    def check(self, recipe: Recipe, resume: bool) -> None:
        """Refuse to overwrite another run, or to go on with it under another recipe.

        With ``resume`` an empty or missing folder is a run that was stopped before it began.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file; a run needs a folder, choose another --run")
        if not entries(self.folder):
            return
        if not resume:
            raise UsageError(f"{self.folder} is not empty; add --resume to go on with it, or choose another --run")
        if not self.recipe.exists():
            raise UsageError(f"{self.folder} holds no recipe.yaml, so it is no run to resume; choose another --run")
        for key, before, now in _differences(load_recipe(self.recipe), recipe):
            if not key.startswith(MAY_CHANGE):
                raise UsageError(
                    f"{self.folder} was begun with {key}={before!r}, now it is {now!r}; "
                    "resume with the same recipe, or choose another --run"
                )

    def check_protocol(self, recipe: Recipe, protocol: Protocol) -> None:
        """On resume the protocol must be the one that the run began with."""
        if self.protocol.exists() and Protocol.read(self.protocol).digest != protocol.digest:
            raise UsageError(
                f"{recipe.data.manifest} has changed since {self.folder} was begun (other clips train or validate); "
                "restore it, or choose another --run"
            )

    def begin(self, recipe: Recipe, protocol: Protocol) -> None:
        """Make the folder and write what defines the run; the recipe first, by which one that is killed is known."""
        with complete(self.recipe) as part:
            part.write_text(
                dump_recipe(recipe, f"Resolved by mien {__version__}: every default is written out."), "utf-8"
            )
        try:
            self.last.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise MienError(f"{self.folder} cannot be made: {error.strerror}; choose another --run") from None
        self.failure.unlink(missing_ok=True)
        protocol.write(self.protocol)

    def best(self, step: int) -> Path:
        """Where the weights of the best validation, at ``step``, lie."""
        return self.last.with_name(f"best-{step}.safetensors")

    def keep_best(self, step: int) -> None:
        """Remove the weights of earlier best validations; call once a checkpoint names ``step`` as the best."""
        for path in self.last.parent.glob("best-*.safetensors"):
            if path != self.best(step):
                path.unlink()

    def fail(self, step: int, reason: str) -> None:
        """Write down why the run broke off after ``step``; what goes on with it, or ``mien doctor``, finds it."""
        write_json(self.failure, {"step": step, "reason": reason})

    def finish(self, result: RunResult) -> None:
        """Write ``metrics.json``: the run is complete."""
        write_json(self.metrics, asdict(result))

    def result(self) -> RunResult | None:
        """What a finished run came to; None while it is not finished."""
        if not self.metrics.exists():
            return None
        try:
            return RunResult(**json.loads(self.metrics.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise MienError(f"{self.metrics} is not what a run of mien writes; remove it and resume") from None


def _differences(before: Recipe, now: Recipe) -> Iterator[tuple[str, Any, Any]]:
    old, new = _flat(before.model_dump(mode="json")), _flat(now.model_dump(mode="json"))
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat
