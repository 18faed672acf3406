"""``calibrate``: fit a bundle's temperature, and the limits of what it should answer, on held-out clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from mien.checkpoints.bundle import Bundle, load, locate
from mien.checkpoints.files import CARD, hold_bundle, read_weights, write_bundle
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.errors import MienError, UsageError
from mien.evaluation.assess import EvaluationSettings, evaluation_loader
from mien.evaluation.calibration import reliability
from mien.evaluation.parts import TrainingRecord, choose
from mien.evaluation.predictions import NOT_INPUTS
from mien.evaluation.tallies import Floats
from mien.models.contract import Recogniser
from mien.models.device import device_named, placed
from mien.models.familiarity import distance
from mien.models.specification import Calibration
from mien.nn.device import send

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
        answers: of the model to those clips: one per clip, or one per frame.
        temperature: None where the task gives no probabilities.
        before, after: on those very answers, by name: ``nll`` (nats), ``ece``; empty where there is no temperature.
        calibration: as stored.
        answered: share of those answers that the limits let the model give.
    """

    bundle: Path
    clips: int
    answers: int
    temperature: float | None
    before: dict[str, float]
    after: dict[str, float]
    calibration: Calibration
    answered: float


@dataclass(frozen=True)
class _Seen:
    """What the model said of views, and the truth.

    Attributes:
        outputs: raw ``(R, K)``: of every view, or of every frame of every window.
        answer: ``(R,)`` which answer they belong to: that on a clip, or on one of its frames.
        truth: class of every answer ``(A,)``; negative where unknown.
        features: of every view or window, ``(V, D)``.
        clips: how many.
    """

    outputs: Floats
    answer: NDArray[np.int64]
    truth: NDArray[np.int64]
    features: Floats
    clips: int


def calibrate(
    source: str | Path,
    manifest: Manifest | Path | str | None = None,
    coverage: float | None = None,
    settings: EvaluationSettings | None = None,
) -> Calibrated:
    """Fit and store, in place, a bundle's calibration. The weights stay as they are.

    Temperature (Guo et al. 2017): the raw outputs of a classification, of clips or of frames, are divided by the number
    that makes the truth of held-out clips likeliest. Which class is the likeliest never changes for a single view.

    Args:
        source: folder of a run or bundle.
        manifest: corpus whose validation part is used; by default that of the run.
        coverage: share of the held-out clips (or frames) that should be answered, which sets the least confidence; None
            sets none.
        settings: views, device, streams.

    Raises:
        UsageError: no corpus, no task, or too few held-out clips; another process writes the run or bundle.
    """
    with hold_bundle(locate(source)):
        return _calibrate(source, manifest, coverage, settings or EvaluationSettings())


def _calibrate(
    source: str | Path, manifest: Manifest | Path | str | None, coverage: float | None, settings: EvaluationSettings
) -> Calibrated:
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
    with settings.within_memory():
        seen = _look(bundle, corpus, held_out.ids, settings)
        trained = _look(bundle, corpus, _trained(corpus, record), settings)
    mean, spread = trained.features.mean(axis=0), trained.features.std(axis=0)
    far = distance(*(torch.tensor(one, dtype=torch.float32) for one in (seen.features, mean, spread))).numpy()
    limit = MARGIN * float(np.quantile(far, TAIL))
    task, temperature, before, after, least = bundle.task, None, {}, {}, None
    answered = 1.0
    if task.kind == "classification":
        if not (seen.truth >= 0).any():
            raise UsageError(f"{corpus.name}: no validation clip has a known class; a temperature cannot be fitted")
        temperature = fit_temperature(seen.outputs, seen.answer, seen.truth)
        before, after = (_figures(seen, value) for value in (1.0, temperature))
        if coverage is not None:
            least, answered = _least_confidence(seen, temperature, coverage)
    elif coverage is not None:
        raise UsageError(f"the task {task.kind} gives values, not probabilities: it has no confidence; leave coverage")
    calibration = Calibration(
        clips=seen.clips,
        protocol=held_out.digest,
        confidence=least,
        mean=tuple(float(f"{value:.6g}") for value in mean),
        spread=tuple(float(f"{value:.6g}") for value in spread),
        limit=float(f"{limit:.6g}"),
    )
    _store(bundle, calibration, temperature)
    return Calibrated(bundle.folder, seen.clips, len(seen.truth), temperature, before, after, calibration, answered)


def _least_confidence(seen: _Seen, temperature: float, coverage: float) -> tuple[float, float]:
    """The confidence that the wanted share of answers reaches, and the share that does."""
    sure = probabilities(seen.outputs, seen.answer, temperature).max(axis=1)
    least = float(np.quantile(sure, 1.0 - coverage))
    return least, float((sure >= least).mean())


def fit_temperature(outputs: Floats, answer: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """The temperature under which the truth of the clips (or frames) is likeliest, their views merged.

    Args:
        outputs, answer, truth: raw ``(R, K)``, ``(R,)`` which clip or frame a row belongs to, and its class ``(A,)``;
            negative where unknown.
    """

    def cost(logarithm: float) -> float:
        return _surprise(probabilities(outputs, answer, float(np.exp(logarithm))), truth)

    best = minimize_scalar(cost, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(best.x))


def probabilities(outputs: Floats, answer: NDArray[np.int64], temperature: float) -> Floats:
    """Mean over views of ``softmax(outputs / temperature)``: ``(A, K)``."""
    scaled = outputs / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    scaled /= scaled.sum(axis=1, keepdims=True)
    sums = np.zeros((int(answer.max()) + 1, outputs.shape[1]))
    np.add.at(sums, answer, scaled)
    return np.asarray(sums / np.bincount(answer)[:, None])


def _surprise(p: Floats, truth: NDArray[np.int64]) -> float:
    known = truth >= 0
    return float(-np.log(np.maximum(p[known, truth[known]], 1e-12)).mean())


def _figures(seen: _Seen, temperature: float) -> dict[str, float]:
    p, known = probabilities(seen.outputs, seen.answer, temperature), seen.truth >= 0
    return {"nll": _surprise(p, seen.truth), "ece": reliability(seen.truth[known], p[known]).error}


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
    task = bundle.task
    assert task is not None
    assert isinstance(bundle.model, Recogniser)
    device = device_named(settings.device)
    model = placed(bundle.model, settings.device)
    features, parts, answers = [], [], 0
    clips: set[str] = set()  # a long one comes in several parts
    for batch in evaluation_loader(corpus, ids, bundle.specification.inputs, task, settings):
        if not batch["ids"]:
            continue
        inputs = {k: send(v, device) for k, v in batch.items() if isinstance(v, Tensor) and k not in NOT_INPUTS}
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            made = model.encoder.forward_features(inputs)
            raw = model.head(made, inputs).cpu().double().numpy() if task.kind == "classification" else None
        features.append(made.pooled.cpu().double().numpy())
        clips.update(batch["ids"])
        if raw is not None:
            outputs, answer, truth = (_of_frames if task.config.level == "frame" else _of_clips)(raw, batch)
            parts.append((outputs, answer + answers, truth))
            answers += len(truth)
    if not clips:
        raise MienError("none of the clips could be read")
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return _Seen(np.zeros((0, 0)), none, np.full(len(clips), -100), np.concatenate(features), len(clips))
    joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return _Seen(joined[0], joined[1], joined[2], np.concatenate(features), len(clips))


def _of_clips(raw: Floats, batch: Mapping[str, Any]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """``outputs``, ``answer`` and ``truth`` of ``_Seen`` for one batch; an answer per clip."""
    _, first, answer = np.unique(batch["clip"].numpy(), return_index=True, return_inverse=True)
    return raw.reshape(len(raw), -1), answer, batch["target"].numpy()[first].astype(np.int64)


def _of_frames(raw: Floats, batch: Mapping[str, Any]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """The same with an answer per frame, which overlapping windows share; padding takes no part."""
    index = batch["index"].numpy()
    if index.shape != raw.shape[:2]:
        raise UsageError(f"a view has {index.shape[1]} frame(s) and the model answers for {raw.shape[1]}")
    real = (index >= 0) & (np.arange(index.shape[1]) < batch["length"].numpy()[:, None])
    clip = np.broadcast_to(batch["clip"].numpy()[:, None], index.shape)
    frames = np.stack([clip[real], index[real]], axis=1)
    _, first, answer = np.unique(frames, axis=0, return_index=True, return_inverse=True)
    return raw[real], answer.reshape(-1), batch["target"].numpy()[real][first].astype(np.int64)


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
