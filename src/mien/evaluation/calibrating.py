"""``calibrate``: fit a bundle's temperature, and the limits of what it should answer, on held-out clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from mien.checkpoints.bundle import Bundle, load
from mien.checkpoints.files import CARD, read_weights, write_bundle
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.errors import MienError, UsageError
from mien.evaluation.assess import EvaluationSettings, device_named, evaluation_loader
from mien.evaluation.calibration import reliability
from mien.evaluation.parts import TrainingRecord, choose
from mien.evaluation.predictions import NOT_INPUTS
from mien.evaluation.tallies import Floats
from mien.models.contract import Recogniser
from mien.models.familiarity import distance
from mien.models.specification import Calibration
from mien.tasks import Task

FEWEST = 10  # clips: fewer fit nothing
COLDEST, HOTTEST = 0.05, 20.0
MOST = 512  # training clips whose features are looked at
TAIL, MARGIN = 0.99, 1.5  # the limit lies half as far again as this share of held-out clips
_HEADING = "\n## Calibration\n"


@dataclass(frozen=True)
class Calibrated:
    """What ``calibrate`` found and wrote.

    Attributes:
        bundle: folder.
        clips: held-out clips that it was fitted on.
        temperature: None where the task gives no probabilities.
        before, after: on those very clips, by name: ``nll`` (nats), ``ece``; empty where there is no temperature.
        calibration: as stored.
        answered: share of those clips that the limits let the model answer.
    """

    bundle: Path
    clips: int
    temperature: float | None
    before: dict[str, float]
    after: dict[str, float]
    calibration: Calibration
    answered: float


@dataclass(frozen=True)
class _Seen:
    """Views of clips: raw outputs ``(V, K)``, features ``(V, D)``, number of the clip, and the truth of every clip."""

    outputs: Floats
    features: Floats
    clip: NDArray[np.int64]
    truth: NDArray[np.int64]


def calibrate(
    source: str | Path,
    manifest: Manifest | Path | str | None = None,
    coverage: float | None = None,
    settings: EvaluationSettings | None = None,
) -> Calibrated:
    """Fit and store, in place, a bundle's calibration. The weights stay as they are.

    Temperature (Guo et al. 2017): the raw outputs of a classification of clips are divided by the number that makes
    the held-out clips likeliest. Which class is the likeliest never changes for a single view.

    Args:
        source: folder of a run or bundle.
        manifest: corpus whose validation part is used; by default that of the run.
        coverage: share of the held-out clips that should be answered: it sets the least confidence; None sets none.
        settings: views, device, streams.

    Raises:
        UsageError: no corpus, no task, or too few held-out clips.
    """
    settings = settings or EvaluationSettings()
    bundle, record = load(source), TrainingRecord.read(source)
    if bundle.task is None or not isinstance(bundle.model, Recogniser):
        raise UsageError(f"{source} is a bare encoder without a task, it has nothing to be sure of; train it first")
    corpus = manifest or (record.manifest if record else None)
    if corpus is None:
        raise UsageError(f"{source} does not say where its corpus is; give --data MANIFEST")
    corpus = corpus if isinstance(corpus, Manifest) else Manifest.read(corpus)
    held_out = choose(corpus, "validation", record, None, bundle.specification.provenance.ledger)
    if len(held_out.ids) < FEWEST:
        raise UsageError(f"{corpus.name}: {len(held_out.ids)} validation clips are too few; at least {FEWEST} it takes")
    seen = _look(bundle, corpus, held_out.ids, settings)
    trained = _look(bundle, corpus, _trained(corpus, record), settings)
    mean, spread = trained.features.mean(axis=0), trained.features.std(axis=0)
    far = distance(*(torch.tensor(one, dtype=torch.float32) for one in (seen.features, mean, spread))).numpy()
    limit = MARGIN * float(np.quantile(far, TAIL))
    task, temperature, before, after, least = bundle.task, None, {}, {}, None
    answered = 1.0
    if _gives_probabilities(task):
        temperature = fit_temperature(seen.outputs, seen.clip, seen.truth)
        before, after = (_figures(seen, value) for value in (1.0, temperature))
        if coverage is not None:
            sure = probabilities(seen.outputs, seen.clip, temperature).max(axis=1)
            least = float(np.quantile(sure, 1.0 - coverage))
            answered = float((sure >= least).mean())
    elif coverage is not None:
        raise UsageError(f"the task {task.kind} gives values, not probabilities: it has no confidence; leave coverage")
    calibration = Calibration(
        clips=len(seen.truth),
        protocol=held_out.digest,
        confidence=least,
        mean=tuple(float(f"{value:.6g}") for value in mean),
        spread=tuple(float(f"{value:.6g}") for value in spread),
        limit=float(f"{limit:.6g}"),
    )
    _store(bundle, calibration, temperature)
    return Calibrated(bundle.folder, len(seen.truth), temperature, before, after, calibration, answered)


def fit_temperature(outputs: Floats, clip: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """The temperature under which the truth of the clips is likeliest, their views merged.

    Args:
        outputs: raw, ``(V, K)``, one row per view.
        clip: which clip a view belongs to, ``(V,)``.
        truth: class of every clip ``(N,)``; negative where unknown.
    """

    def cost(logarithm: float) -> float:
        return _surprise(probabilities(outputs, clip, float(np.exp(logarithm))), truth)

    best = minimize_scalar(cost, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(best.x))


def probabilities(outputs: Floats, clip: NDArray[np.int64], temperature: float) -> Floats:
    """Mean over views of ``softmax(outputs / temperature)``: ``(N, K)``."""
    scaled = outputs / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    scaled /= scaled.sum(axis=1, keepdims=True)
    sums = np.zeros((int(clip.max()) + 1, outputs.shape[1]))
    np.add.at(sums, clip, scaled)
    return np.asarray(sums / np.bincount(clip)[:, None])


def _surprise(p: Floats, truth: NDArray[np.int64]) -> float:
    known = truth >= 0
    return float(-np.log(np.maximum(p[known, truth[known]], 1e-12)).mean())


def _figures(seen: _Seen, temperature: float) -> dict[str, float]:
    p, known = probabilities(seen.outputs, seen.clip, temperature), seen.truth >= 0
    return {"nll": _surprise(p, seen.truth), "ece": reliability(seen.truth[known], p[known]).error}


def _gives_probabilities(task: Task) -> bool:
    return task.kind == "classification" and task.config.level == "clip"


def _trained(corpus: Manifest, record: TrainingRecord | None) -> list[str]:
    """Up to ``MOST`` training clips, evenly over their sorted ids."""
    protocol = record.protocol if record else Protocol.from_manifest(corpus)
    ids = sorted(set(protocol.train) & set(corpus.ids))
    if not ids:
        raise UsageError(f"{corpus.name} has no training clips to know the usual features from; use the run's corpus")
    return ids[:: -(-len(ids) // MOST)]


@torch.inference_mode()
def _look(bundle: Bundle, corpus: Manifest, ids: Sequence[str], settings: EvaluationSettings) -> _Seen:
    """Run the bundle over clips; those that cannot be read are left out."""
    assert bundle.task is not None
    assert isinstance(bundle.model, Recogniser)
    device = device_named(settings.device)
    model = bundle.model.to(device).eval()
    outputs, features, clips, truth, count = [], [], [], [], 0
    for batch in evaluation_loader(corpus, ids, bundle.specification.inputs, bundle.task, settings):
        if not batch["ids"]:
            continue
        inputs = {k: v.to(device) for k, v in batch.items() if isinstance(v, Tensor) and k not in NOT_INPUTS}
        made = model.encoder.forward_features(inputs)
        raw: Tensor = model.head(made, inputs)
        outputs.append(raw.double().cpu().numpy().reshape(len(raw), -1))
        features.append(made.pooled.double().cpu().numpy())
        clips.append(batch["clip"].numpy() + count)
        count += len(batch["ids"])
        if _gives_probabilities(bundle.task):
            first = np.unique(batch["clip"].numpy(), return_index=True)[1]
            truth.append(batch["target"].numpy()[first].astype(np.int64))
        else:
            truth.append(np.full(len(batch["ids"]), -100))
    if not count:
        raise MienError("none of the clips could be read")
    widths = {part.shape[1] for part in outputs}
    joined = np.concatenate(outputs) if len(widths) == 1 else np.zeros((sum(map(len, outputs)), 0))
    return _Seen(joined, np.concatenate(features), np.concatenate(clips), np.concatenate(truth))


def _store(bundle: Bundle, calibration: Calibration, temperature: float | None) -> None:
    """Write the bundle anew with its calibration; weights and the rest of the card stay."""
    specification = bundle.specification.model_copy(update={"calibration": calibration})
    words = f"Fitted on {calibration.clips} validation clips (protocol {calibration.protocol[:12]}), "
    words += "on which weights may have been chosen, too."
    if temperature is not None:
        assert specification.task is not None
        options = specification.task.options | {"temperature": float(f"{temperature:.6g}")}
        task = specification.task.model_copy(update={"options": options})
        specification = specification.model_copy(update={"task": task})
        words += f" Temperature {temperature:.3f}."
    if calibration.confidence is not None:
        words += f" It abstains below a confidence of {calibration.confidence:.3f}."
    card = bundle.folder / CARD
    text = card.read_text("utf-8").partition(_HEADING)[0].rstrip("\n") + "\n" if card.is_file() else ""
    write_bundle(bundle.folder, specification, read_weights(bundle.folder), f"{text}{_HEADING}\n{words}\n")
