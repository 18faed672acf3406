"""How often the 95 % intervals hold the true figure, drawn by subject and, as the baseline, by clip.

Simulated corpora whose subjects differ in how well they are read; the true UAR or CCC is that of 20,000 subjects.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.evaluation.intervals import bootstrap
from mien.evaluation.metrics import METRICS
from mien.evaluation.tallies import Floats, Ints, count_pairs, sum_moments

CLASSES, CLIPS, FRAMES = 7, 14, 100
Corpus = Callable[[np.random.Generator, int, bool], Floats]


def classified(rng: np.random.Generator, subjects: int, by_clip: bool = False) -> Floats:
    """Confusion counts of 14 clips per subject, 80 % right in a typical one, standard deviation 0.8 in logits."""
    groups = np.repeat(np.arange(subjects), CLIPS)
    truth = np.tile(np.arange(CLIPS) % CLASSES, subjects)
    skill = 1 / (1 + np.exp(-(np.log(4) + 0.8 * rng.normal(size=subjects))))
    right = rng.random(len(groups)) < skill[groups]
    predicted = np.where(right, truth, rng.integers(CLASSES, size=len(groups)))
    units, count = _units(groups, subjects, by_clip)
    return count_pairs(truth, predicted, CLASSES, units, count)


def read_over_time(rng: np.random.Generator, subjects: int, by_clip: bool = False) -> Floats:
    """Moments of 100 frames per subject: a random walk, read with noise and an offset of the subject's own.

    "By clip" draws single frames here, as if they were independent.
    """
    truth = 0.1 * np.cumsum(rng.normal(size=(subjects, FRAMES)), axis=1)
    offset = 0.3 * rng.normal(size=(subjects, 1))
    output = 0.6 * truth + offset + 0.3 * rng.normal(size=truth.shape)
    units, count = _units(np.repeat(np.arange(subjects), FRAMES), subjects, by_clip)
    return sum_moments(truth.ravel(), output.ravel(), units, count)


def _units(groups: Ints, subjects: int, by_clip: bool) -> tuple[Ints, int]:
    return (np.arange(len(groups)), len(groups)) if by_clip else (groups, subjects)


def measure(name: str, corpus: Corpus, subjects: int, repetitions: int, by_clip: bool) -> tuple[float, float]:
    """Coverage and mean width."""
    value, bounds = METRICS[name].value, METRICS[name].bounds
    truth = float(value(corpus(np.random.default_rng(0), 20_000, False).sum(axis=0)))
    held, width = 0, 0.0
    for number in range(repetitions):
        sums = corpus(np.random.default_rng([subjects, number]), subjects, by_clip)
        interval = bootstrap(sums, value, replicates=500, seed=number, bounds=bounds)
        held += interval.low <= truth <= interval.high
        width += interval.high - interval.low
    return held / repetitions, width / repetitions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=600)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"{'metric':6} {'subjects':>8} {'by subject':>10} {'by clip':>8} {'ratio of widths':>15}")
    for name, corpus in (("uar", classified), ("ccc", read_over_time)):
        for subjects in (4, 6, 12, 30, 100):
            honest = measure(name, corpus, subjects, options.repetitions, by_clip=False)
            baseline = measure(name, corpus, subjects, options.repetitions, by_clip=True)
            ratio = honest[1] / baseline[1]
            print(f"{name:6} {subjects:8} {honest[0]:10.3f} {baseline[0]:8.3f} {ratio:15.2f}", flush=True)
            rows.append(
                {"metric": name, "subjects": subjects, "coverage": honest[0], "by_clip": baseline[0], "widths": ratio}
            )
    if options.json:
        options.json.write_text(json.dumps({"repetitions": options.repetitions, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
