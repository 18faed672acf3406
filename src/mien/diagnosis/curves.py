"""What the logs say: a learning rate that does not fit, data that come too slowly, a run that broke off."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator

import numpy as np

from mien.diagnosis.finding import Finding
from mien.diagnosis.record import RunRecord
from mien.pretext.collapse import LEAST_ENTROPY, LEAST_SPREAD

# Medians over matrices of |after - before| / |before|. Training from scratch moved weights 0.3 to 5 times their size,
# fine-tuning 0.01 to 1; AdamW moves a weight by up to the learning rate at every step.
FAR, NEAR = 30.0, 1e-3
FELL = 0.7  # times the first loss; batches alone move it by a fifth
WORSE = 1.2  # times the loss of guessing
BLOWN, NO_BETTER = 1.5, 0.95  # times the loss of guessing: on the way, and at the end
STARVED = 0.5  # share of the time
NOT_FINITE = re.compile(r"the (loss|gradient) is (nan|-?inf) at step")


def look_at_logs(record: RunRecord) -> Iterator[Finding]:
    """Findings from logs, counters and the size of the weights' movement."""
    yield from _broken_off(record)
    yield from _learning_rate(record)
    yield from _collapse(record)
    yield from _starvation(record)
    yield from _unreadable(record)


def guessing_loss(record: RunRecord) -> float | None:
    """Cross-entropy of giving every class the same probability; None for other losses."""
    task = record.recipe.task
    if task is None or task.kind != "classification" or task.options.get("class_weights"):
        return None
    return math.log(len(task.outputs))


def _broken_off(record: RunRecord) -> Iterator[Finding]:
    if record.failure is None:
        return
    reason = str(record.failure["reason"])
    if NOT_FINITE.search(reason):
        yield Finding(
            "not finite",
            "serious",
            reason,
            "from there on every weight would be NaN; the last checkpoint is from before",
            "where an input is named, look at these clips; where a layer or a gradient is, lower optimiser.lr (now "
            f"{record.recipe.optimiser.lr:g}), set optimiser.clip=1 or precision=fp32, and train anew",
        )
    else:
        yield Finding("broken off", "serious", reason, "the run is not finished", "mend it, then --resume")


def _learning_rate(record: RunRecord) -> Iterator[Finding]:
    if record.train.empty:
        return
    rates = record.train["lr"].to_numpy()
    loss = record.train["loss"].to_numpy()
    last = float(np.median(loss[-max(1, len(loss) // 5) :]))
    moved, guessing = record.movement(), guessing_loss(record)
    peak = f"the learning rate rose to {rates.max():.3g}"
    if moved is not None and (moved > FAR or not math.isfinite(moved)):
        yield _too_high(record, f"{peak} and the weights moved by {moved:.3g} times their own size")
    elif guessing is not None and last > WORSE * guessing:
        yield _too_high(record, f"{peak} and the loss ended at {last:.3g}; guessing costs {guessing:.3g}")
    elif guessing is not None and loss.max() > BLOWN * guessing and last > NO_BETTER * guessing:
        went = f"the loss went up to {loss.max():.3g} and came back to {last:.3g}"
        yield _too_high(record, f"{peak}, {went}; guessing costs {guessing:.3g}")
    elif last > 1.5 * loss[0] and last > 1.5 * loss.min():
        yield _too_high(record, f"{peak} and the loss rose from {loss.min():.3g} to {last:.3g}")
    elif moved is not None and moved < NEAR and last > FELL * loss[0]:
        yield Finding(
            "learning rate",
            "warning",
            f"{peak}, the weights moved by {moved:.2g} of their own size in {int(record.train['step'].iloc[-1])} "
            f"steps, and the loss went from {loss[0]:.4g} to {last:.4g}",
            "the run ended about where it began: its figures are those of the start",
            f"raise optimiser.lr (now {record.recipe.optimiser.lr:g}) by 10 to 100, and look at optimiser.base_batch, "
            "which scales it by the batch, and at schedule.warmup_epochs",
        )


def _too_high(record: RunRecord, seen: str) -> Finding:
    optimiser, schedule = record.recipe.optimiser, record.recipe.schedule
    attempt = [f"lower optimiser.lr (now {optimiser.lr:g}) to a tenth or less (AdamW wants 1e-5 to 1e-3)"]
    if not schedule.warmup_epochs and not schedule.warmup_steps:
        attempt.append("warm up (schedule.warmup_epochs=1)")
    if optimiser.clip is None:
        attempt.append("bound the gradient (optimiser.clip=1)")
    why = "steps that large jump over every minimum and destroy what the weights knew"
    return Finding("learning rate", "serious", seen, why, "; ".join(attempt))


def _collapse(record: RunRecord) -> Iterator[Finding]:
    """What pretexts log of their features and targets: 0 where all clips are the same to them."""
    rows = record.train.iloc[-max(1, len(record.train) // 5) :]
    for column, what, least in (
        ("feature_std", "spread of features", LEAST_SPREAD),
        ("target_entropy", "information in targets", LEAST_ENTROPY),
    ):
        if column not in rows or not rows[column].notna().any():
            continue
        last = float(rows[column].mean())
        if last < least:
            yield Finding(
                "collapse",
                "serious",
                f"the {what} over clips ({column}) fell from {record.train[column].iloc[0]:.3g} to {last:.3g}",
                "all clips look the same to the model: it has found the answer that is always right",
                "take an earlier checkpoint; keep the teacher's moving average slow (0.99 and up), predictor, centring "
                f"and normalisation in place, and optimiser.lr (now {record.recipe.optimiser.lr:g}) lower",
            )


def _starvation(record: RunRecord) -> Iterator[Finding]:
    if "waiting" not in record.train or record.train.empty:
        return
    rows = record.train.iloc[1:] if len(record.train) > 2 else record.train  # the first waits for workers to start
    waiting, rate = float(rows["waiting"].median()), float(rows["clips_per_second"].median())
    if waiting <= STARVED:
        return
    data = record.recipe.data
    yield Finding(
        "starvation",
        "warning",
        f"training waits for data {waiting:.0%} of the time ({rate:.3g} clips/s, {data.workers} worker(s) per device)",
        f"with data in time it could be up to {1 / max(1 - waiting, 0.01):.1f} times as fast",
        f"raise data.workers (this machine has {os.cpu_count()} cores), keep frames of small corpora in memory "
        "(data.cache=2000), and train on prepared clips (mien prepare) of the model's size, not on raw video",
    )


def _unreadable(record: RunRecord) -> Iterator[Finding]:
    if not record.unreadable:
        return
    share = len(record.unreadable) / max(len(record.protocol.train), 1)
    yield Finding(
        "unreadable",
        "warning",
        f"{len(record.unreadable)} clips ({share:.1%}) could not be read; the first: "
        f"{next(iter(record.unreadable.values()))}",
        "the model never saw them; if they are of one class or person, it is biased",
        "restore the files; metrics.json lists all of them",
    )
