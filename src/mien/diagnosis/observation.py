"""A run's weights at work on some clips: features, answers, and what each modality changes about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.data.augment import Deterministic
from mien.data.dataset import ClipDataset
from mien.data.loader import Batch, ClipLoader
from mien.data.manifest import Manifest
from mien.data.order import EpochOrder
from mien.data.sampling import EvenViews
from mien.data.seeding import generator
from mien.diagnosis.record import RunRecord
from mien.evaluation.assess import EvaluationSettings, evaluation_loader
from mien.evaluation.predictions import NOT_INPUTS, Predictions, predict_views
from mien.evaluation.tallies import Floats
from mien.models.contract import Encoder, Recogniser
from mien.tasks import Task

BATCH = 8


@dataclass
class Modality:
    """What was seen of one modality.

    Attributes:
        clips, present, constant: how many were looked at, had it, and had it with one value throughout.
        swapped: mean change of answers (features where there is no task) when clips exchange this modality.
        between: the same when they exchange everything.
    """

    clips: int = 0
    present: int = 0
    constant: int = 0
    swapped: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Change by this modality alone over the change between clips; NaN where clips are answered all alike."""
        whole = float(np.mean(self.between)) if self.between else 0.0
        return float(np.mean(self.swapped)) / whole if whole > 1e-8 else float("nan")


@dataclass(frozen=True)
class Observation:
    """Some clips of one part, as the weights see them.

    Attributes:
        views: that were looked at.
        features: ``(N, D)`` pooled features, and those of the weights that pretraining began with; empty for a task.
        modalities: by name.
        predictions: answers beside the truth; None where there is no task.
    """

    views: int
    features: tuple[Floats, Floats]
    modalities: Mapping[str, Modality]
    predictions: Predictions | None


def observe(record: RunRecord, ids: Sequence[str], most: int) -> Observation | None:
    """Run the weights that training left over up to ``most`` clips; None before the first checkpoint.

    Raises:
        MienError: the weights do not fit, or give what is not finite.
    """
    weights = record.trained()
    if weights is None or record.manifest is None:
        return None
    objective, task = record.start()
    objective.eval()
    loader = _loader(record, record.manifest, _chosen(ids, most), task)
    before = _features(objective.encoder, loader) if task is None else []
    objective.trained.load_state_dict(weights)
    model = objective.trained if isinstance(objective.trained, Recogniser) else objective.encoder
    eye = _Eye(model, task)
    loader.set_epoch(0)
    batches = eye.watch(loader)
    predictions = None
    if task is not None:
        predictions = predict_views(objective.trained, task, batches)
    else:
        for _ in batches:
            pass
    if not eye.views:
        return None
    pair = (_joined(before), _joined(eye.features))
    return Observation(eye.views, pair, eye.modalities, predictions)


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.empty((0, 0))


@torch.no_grad()
def _features(encoder: Encoder, loader: ClipLoader) -> list[Floats]:
    return [encoder.forward_features(_inputs(batch)).pooled.double().numpy() for batch in loader if batch["ids"]]


def _inputs(batch: Batch) -> dict[str, Tensor]:
    return {name: one for name, one in batch.items() if isinstance(one, Tensor) and name not in NOT_INPUTS}


def _chosen(ids: Sequence[str], most: int) -> list[str]:
    """Up to ``most`` of them, always the same, in no order that classes or people could have."""
    ids = sorted(ids)
    return [ids[at] for at in generator(0, "diagnosis").permutation(len(ids))[:most]]


def _loader(record: RunRecord, manifest: Manifest, ids: list[str], task: Task | None) -> ClipLoader:
    streams = Path(record.recipe.data.streams) if record.recipe.data.streams else None
    if task is not None:
        settings = EvaluationSettings(views=1, batch=BATCH, streams=streams)
        return evaluation_loader(manifest, ids, record.inputs, task, settings)
    dataset = ClipDataset(manifest, ids, record.inputs, EvenViews(1), Deterministic(record.inputs), streams=streams)
    order = EpochOrder(0, len(dataset), BATCH, shuffle=False, drop_last=False)
    return ClipLoader(dataset, order, max_unreadable=None)


class _Eye:
    """Looks at batches on their way to the model."""

    def __init__(self, model: Recogniser | Encoder, task: Task | None) -> None:
        self.model, self.task = model, task
        self.encoder = model.encoder if isinstance(model, Recogniser) else model
        self.views = 0
        self.features: list[Floats] = []
        self.modalities: dict[str, Modality] = {}

    def watch(self, batches: ClipLoader) -> Iterator[Batch]:
        for batch in batches:
            if batch["ids"]:
                with torch.no_grad():
                    self._look(_inputs(batch))
            yield batch

    def _look(self, inputs: dict[str, Tensor]) -> None:
        names = [name for name in self.encoder.modalities if name in inputs]
        answers = self._answer(inputs)
        self.views += len(answers)
        if self.task is None:
            self.features.append(answers.double().numpy())
        for name in names:
            seen = self.modalities.setdefault(name, Modality())
            there = present(inputs, name)
            seen.clips += len(there)
            seen.present += int(there.sum())
            flat = inputs[name].flatten(1)
            seen.constant += int(((flat.max(dim=1).values - flat.min(dim=1).values) < 1e-6).sum())
            if len(names) > 1 and len(there) > 1:
                seen.swapped.append(float((self._answer(exchanged(inputs, (name,))) - answers).abs().mean()))
                seen.between.append(float((self._answer(exchanged(inputs, names)) - answers).abs().mean()))

    def _answer(self, inputs: Mapping[str, Tensor]) -> Tensor:
        if self.task is None:
            return self.encoder.forward_features(inputs).pooled
        return self.task.read(self.model(inputs))


def present(inputs: Mapping[str, Any], name: str) -> Tensor:
    """Which clips of a batch have a modality at all, bool ``(B,)``."""
    mask = inputs.get(f"{name}_present")
    if mask is None:
        return torch.ones(len(inputs[name]), dtype=torch.bool)
    return mask.bool().flatten(1).any(dim=1) if mask.ndim > 1 else mask.bool()


def exchanged(inputs: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The batch with these modalities handed on from each clip to the next."""
    moved = {key: inputs[key].roll(1, 0) for name in names for key in (name, f"{name}_present") if key in inputs}
    return {**inputs, **moved}
