"""Submissions to a challenge whose test part has no labels: predictions alone, in the file that its judges take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mien.checkpoints.bundle import load
from mien.data.augment import Deterministic
from mien.data.dataset import ClipDataset
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.order import EpochOrder
from mien.data.sampling import EvenViews
from mien.errors import MienError, UsageError
from mien.evaluation.assess import EvaluationSettings
from mien.files import complete
from mien.models.device import device_named


@torch.inference_mode()
def write_submission(
    source: str | Path, manifest: Manifest | Path | str, file: Path, settings: EvaluationSettings | None = None
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
    bundle = load(source, device)
    task = bundle.task
    if task is None or task.config.level != "clip":
        raise UsageError(f"{source} does not answer per clip; a submission has one row per clip")
    split = manifest.column("split").astype("str").str.lower()
    ids = [str(id_) for id_ in split.index[split == "test"]]
    inputs = bundle.specification.inputs
    views = EvenViews(settings.views, settings.crops)
    dataset = ClipDataset(manifest, ids, inputs, views, Deterministic(inputs), streams=settings.streams)
    order = EpochOrder(0, len(dataset), settings.batch, shuffle=False, drop_last=False)
    rows: dict[str, np.ndarray] = {}
    for batch in ClipLoader(dataset, order, settings.workers, max_unreadable=None):
        if batch["failures"]:
            failure = batch["failures"][0]
            raise MienError(f"no submission: clip {failure.id!r} cannot be read: {failure.reason}")
        outputs = task.read(bundle.model(_inputs(batch, device))).double().cpu().numpy()
        for number, id_ in enumerate(batch["ids"]):
            rows[id_] = task.merge(outputs[batch["clip"].numpy() == number])
    table = pd.DataFrame([rows[id_] for id_ in ids], columns=list(task.columns()))
    table.insert(0, "File_ID", [f"[{id_}]" for id_ in ids])
    with complete(file) as part:
        table.to_csv(part, index=False, lineterminator="\n")
    return len(table)


def _inputs(batch: Mapping[str, Any], device: torch.device) -> dict[str, Tensor]:
    apart = {"clip", "times", "index"}
    return {name: v.to(device) for name, v in batch.items() if isinstance(v, Tensor) and name not in apart}
