"""What the weights do with clips: collapse, classes never named, labels that fit nothing, idle modalities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mien.data.seeding import generator
from mien.diagnosis.finding import Finding, Severity
from mien.diagnosis.observation import Observation
from mien.evaluation.metrics import metric
from mien.evaluation.predictions import Predictions
from mien.evaluation.tallies import Floats
from mien.tasks import Task

FEWEST = 8  # clips: with fewer nothing can be said
PERMUTATIONS = 2000
LEVEL = 0.05
ENOUGH = 20  # clips from which "no better than guessing" is serious
NO_SHARE = 0.02  # of the change between clips
FLAT = 0.05  # spread of answers over the spread of the truth
SHRUNK = 0.2  # of the spread that features had before training
LEAST = 1e-3  # of features that are one vector but for rounding
_SHUFFLED = "a table joined by row number, not by id, shuffles them"
_BY_LABELS = (
    f"look at 20 clips beside their labels: {_SHUFFLED}; then at whether the model can see what the labels speak of, "
    "and at the number of people it trains on"
)
_BY_TRAINING = (
    "see first whether it can learn at all: 20 clips without augmentation, until it knows them by heart (optimiser.lr "
    "ten times lower and higher, more steps). If it can, look at clips beside their labels: "
    f"{_SHUFFLED}. If not, the input does not show what the labels speak of"
)


def look_at_features(before: Floats, after: Floats) -> Iterator[Finding]:
    """Whether training took from an encoder that it tells clips apart: features ``(N, D)`` of the same clips."""
    first, last = spread(before), spread(after)
    if len(after) < FEWEST or (last > SHRUNK * first and last > LEAST):
        return
    yield Finding(
        "collapse",
        "serious",
        f"features of {len(after)} clips differ by {last:.2g} of their size (standard deviation over root mean "
        f"square); before training it was {first:.2g}",
        "the encoder no longer tells clips apart, so nothing can be learned on top of it",
        "take an earlier checkpoint; in joint-embedding pretraining keep the teacher's moving average slow (0.99 and "
        "up), the predictor and its normalisation in place, and the learning rate lower",
    )


def spread(features: Floats) -> float:
    """Standard deviation over clips divided by root mean square, of ``(N, D)``, over all dimensions: 0..1."""
    size = float(np.square(features).mean())
    return float(np.sqrt(features.var(axis=0).mean() / size)) if size else 0.0


def look_at_answers(task: Task, seen: Mapping[str, Observation], judge_labels: bool = True) -> Iterator[Finding]:
    """Findings on the answers to training and validation clips.

    Args:
        task: reads them.
        seen: observation by part, ``train`` and ``validation``; either may lack.
        judge_labels: say whether labels fit the clips, which only weights that could learn tell.
    """
    part = "validation" if "validation" in seen else "train"
    predictions = seen[part].predictions if part in seen else None
    if predictions is None or len(predictions.clips) < FEWEST:
        return
    collapsed = list(_constant(task, predictions, part))
    yield from collapsed
    if task.classes is not None and not collapsed:
        yield from _unused(task.classes, predictions, part)
    trained = seen["train"].predictions if "train" in seen else None
    if judge_labels and task.config.level == "clip":
        yield from _labels(task, predictions, trained, part)


def look_at_modalities(seen: Observation) -> Iterator[Finding]:
    """Modalities that are empty, absent, or change nothing about the answers."""
    for name, one in seen.modalities.items():
        if one.constant == one.clips or not one.present:
            what = "is one constant value" if one.present else "is absent"
            yield Finding(
                "dead modality",
                "serious",
                f"{name} {what} in all {one.clips} clips that were looked at",
                "the model was trained without it, whatever its name says",
                f"look at the recordings and at how {name} is extracted (mien extract), or train a model without it",
            )
        elif len(seen.modalities) > 1 and one.share < NO_SHARE:
            yield Finding(
                "dead modality",
                "warning",
                f"giving clips each other's {name} changes the answers by {one.share:.1%} of what all modalities "
                f"together change ({one.present} of {one.clips} clips have it)",
                "the model does not listen to it: it costs computation and brings nothing",
                f"train a model without {name} and compare; or drop the other modalities at random in training, so "
                "that this one has to be used",
            )


def _constant(task: Task, predictions: Predictions, part: str) -> Iterator[Finding]:
    output, truth = predictions.output, predictions.truth
    why = "whatever is shown, the answer is the same"
    attempt = "lower optimiser.lr, warm up, look at the balance of classes (task.options.class_weights) and at the data"
    if task.classes is not None:
        named, true = output.argmax(axis=1), truth[truth >= 0]
        if len(set(named.tolist())) == 1 and len(set(true.tolist())) > 1:
            text = f"{task.classes[named[0]]!r} is predicted for all {len(predictions.clips)} {part} clips"
            yield Finding("collapse", "serious", text, why, attempt)
        return
    for column, name in enumerate(task.columns()):
        spread, real = float(output[:, column].std()), float(np.nanstd(truth[:, column]))
        if real > 0 and spread < FLAT * real:
            text = f"{name} varies by {spread:.2g} over {part} clips, the truth by {real:.2g} (standard deviations)"
            yield Finding(
                "collapse",
                "serious",
                text,
                why,
                "lower optimiser.lr, and look at the loss: errors squared "
                "alone reward the mean, a correlation (ccc) does not",
            )


def _unused(classes: tuple[str, ...], predictions: Predictions, part: str) -> Iterator[Finding]:
    truth, named = predictions.truth, predictions.output.argmax(axis=1)
    shown = [number for number in range(len(classes)) if (truth == number).any()]
    unused = [number for number in shown if not (named == number).any()]
    if not unused:
        return
    counts = ", ".join(f"{classes[number]!r} ({int((truth == number).sum())} clips)" for number in unused)
    of = f"{len(unused)} of {len(shown)} classes" if len(shown) > 1 else "the one class"
    few = 2 * len(unused) > len(shown)  # then it is no matter of rare classes
    yield Finding(
        "unused class",
        "serious" if few else "warning",
        f"{of} that {part} clips show are never predicted: {counts}",
        "the recall of each is 0, which costs UAR as much as any other class",
        "train longer, or look for what keeps the model from learning: optimiser.lr, the data, the labels"
        if few
        else "give rare classes more weight (task.options.class_weights) or more clips, or train longer",
    )


def _labels(task: Task, predictions: Predictions, trained: Predictions | None, part: str) -> Iterator[Finding]:
    """Whether answers have anything to do with the truth."""
    value, chance, p = agreement(task, predictions)
    if not p > LEVEL:
        return
    count = len(predictions.clips)
    name = metric(task.metrics()[0]).title
    seen = f"{name} {value:.3f} on {count} {part} clips; guessing gives {chance:.3f} (p = {p:.2g} by permutation)"
    severity: Severity = "serious" if count >= ENOUGH else "warning"
    why = "the answers have nothing to do with the labels, so the figures of this run are noise"
    if part == "validation" and trained is not None and len(trained.clips) >= FEWEST:
        fitted, guessed, p_fitted = agreement(task, trained)
        reached = f"{fitted:.3f} (guessing {guessed:.3f})"
        if p_fitted > LEVEL:
            seen += f". It has not learned its training clips either: {reached}"
            yield Finding("nothing learned", severity, seen, why, _BY_TRAINING)
            return
        seen += f". On its training clips it reaches {reached}: it learned them by heart"
    yield Finding("labels", severity, seen, why, _BY_LABELS)


def agreement(task: Task, predictions: Predictions) -> tuple[float, float, float]:
    """The task's first metric, its mean under guessing, and the one-sided p-value by permutation of the truth."""
    judge = metric(task.metrics()[0])
    truth, output = predictions.truth, predictions.output[:, : len(task.columns())]

    def value(truth: np.ndarray) -> float:
        if task.classes is not None:
            known = truth >= 0
            return judge(truth[known], output[known])
        columns = range(truth.shape[1])
        rows = [~np.isnan(truth[:, column]) for column in columns]
        return float(np.mean([judge(truth[rows[c], c], output[rows[c], c]) for c in columns]))

    rng = generator(0, "permutation")
    drawn = np.array([value(truth[rng.permutation(len(truth))]) for _ in range(PERMUTATIONS)])
    real = value(truth)
    return real, float(np.nanmean(drawn)), float((1 + (drawn >= real).sum()) / (1 + PERMUTATIONS))
