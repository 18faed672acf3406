"""Submissions to a challenge whose test part has no labels: predictions alone, in the file that its judges take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from mien.checkpoints.bundle import load
from mien.data.augment import Deterministic
from mien.data.dataset import ClipDataset
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.order import EpochOrder
from mien.data.sampling import EvenViews
from mien.errors import MienError, UsageError
from mien.evaluation.assess import EvaluationSettings
from mien.evaluation.predictions import read_views
from mien.evaluation.tallies import Floats
from mien.files import complete
from mien.models.device import device_named, placed
from mien.tasks import Task


def write_submission(
    source: str | Path, manifest: Manifest | Path | str, file: Path | str, settings: EvaluationSettings | None = None
) -> int:
    """Write predictions for the rows whose split is ``test``, as MuSe-Reaction takes them; returns their number.

    The header is ``File_ID`` and the outputs' names; ids stand in brackets, as in ``data_info.csv``. Labels are not
    looked at. A submission must be whole, so a clip that cannot be read refuses it.

    Raises:
        UsageError: the task is not per clip, or no row has the split ``test``.
        MienError: a clip cannot be read.
    """
    settings = settings or EvaluationSettings()
    manifest = manifest if isinstance(manifest, Manifest) else Manifest.read(manifest)
    device = device_named(settings.device)
    bundle = load(source)
    task = bundle.task
    if task is None or task.config.level != "clip":
        raise UsageError(f"{source} does not answer per clip; a submission has one row per clip")
    split = manifest.column("split").astype("str").str.lower()
    ids = [str(id_) for id_ in split.index[split == "test"]]
    inputs = bundle.specification.inputs
    views = EvenViews(settings.views, settings.crops)
    dataset = ClipDataset(manifest, ids, inputs, views, Deterministic(inputs), streams=settings.streams)
    order = EpochOrder(0, len(dataset), settings.batch, shuffle=False, drop_last=False)
    model = placed(bundle.model, settings.device)
    rows: dict[str, Floats] = {}
    with settings.within_memory():
        for batch in ClipLoader(dataset, order, settings.workers, max_unreadable=None):
            rows |= _rows(model, task, batch, device, settings)
    table = pd.DataFrame([rows[id_] for id_ in ids], columns=list(task.columns()))
    table.insert(0, "File_ID", [f"[{id_}]" for id_ in ids])
    with complete(Path(file)) as part:
        table.to_csv(part, index=False, lineterminator="\n")
    return len(table)


def _rows(
    model: nn.Module, task: Task, batch: Mapping[str, Any], device: torch.device, settings: EvaluationSettings
) -> dict[str, Floats]:
    """What the task reads of every clip of a batch, its views merged."""
    if batch["failures"]:
        failure = batch["failures"][0]
        raise MienError(f"no submission: clip {failure.id!r} cannot be read: {failure.reason}")
    outputs = read_views(model, task, batch, device, **settings.forward)[:, : len(task.columns())]
    clip = batch["clip"].numpy()
    return {id_: task.merge(outputs[clip == number]) for number, id_ in enumerate(batch["ids"])}
