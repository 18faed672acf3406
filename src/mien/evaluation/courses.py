"""Fit what is done to a bundle's values over time, and store it in the bundle."""

from __future__ import annotations

from pathlib import Path

from mien.checkpoints.bundle import load, locate, store_smoothing
from mien.checkpoints.files import hold_bundle
from mien.checkpoints.hub import is_hub_id
from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation.assess import EvaluationSettings, evaluation_loader
from mien.evaluation.parts import TrainingRecord, choose
from mien.evaluation.predictions import predict_views
from mien.evaluation.smoothing import check_smoothable, fit
from mien.models.device import placed
from mien.models.specification import Specification


def fit_smoothing(
    source: str | Path, manifest: Manifest | Path | str, settings: EvaluationSettings | None = None
) -> Specification:
    """Fit the smoothing of a run's or bundle's outputs on validation clips and store it in the bundle.

    Evaluation and prediction then take the steps; ``mien.evaluation.smoothing`` says which.

    Args:
        source: folder of a run or bundle.
        manifest: corpus whose validation part is used.
        settings: device, workers, precision, streams.

    Returns:
        what the bundle says now.

    Raises:
        UsageError: the task does not give values over time, or there are no validation clips; another process writes
            the run or bundle.
    """
    if is_hub_id(str(source)):
        raise UsageError(f"{source} is on a hub; fetch it (mien bundle pull) and name the folder")
    with hold_bundle(locate(source)):
        corpus = manifest if isinstance(manifest, Manifest) else Manifest.read(manifest)
        return _fit_smoothing(source, corpus, settings or EvaluationSettings())


def _fit_smoothing(source: str | Path, manifest: Manifest, settings: EvaluationSettings) -> Specification:
    bundle = load(source)
    task, said = bundle.task, bundle.specification
    if task is None:
        raise UsageError(f"{source} is a bare encoder without a task, there is nothing to smooth; train it first")
    check_smoothable(task)
    part = choose(manifest, "validation", TrainingRecord.read(source), None, said.provenance.ledger)
    batches = evaluation_loader(manifest, part.ids, said.inputs, task, settings)
    model = placed(bundle.model, settings.device)
    with settings.within_memory():
        predictions = predict_views(model, task, batches, **settings.forward)
    return store_smoothing(bundle, fit(task, predictions))
