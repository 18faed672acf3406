"""Two evaluations of the same clips side by side: what differs, and whether chance would do as much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import UsageError
from mien.evaluation.intervals import LEVEL, REPLICATES, Comparison, McNemar, compare, holm, mcnemar, resample
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.result import FIXED_COLUMNS, EvaluationResult
from mien.evaluation.scores import judge
from mien.files import write_json
from mien.tasks import Task


@dataclass(frozen=True)
class Paired:
    """A result (first) against an earlier one (second).

    Attributes:
        other: folder of the earlier one.
        comparisons: by name of the score.
        titles: of the scores.
        mcnemar: exact test on clips (or frames) that were right; None for continuous values.
    """

    other: str
    comparisons: dict[str, Comparison]
    titles: dict[str, str]
    mcnemar: McNemar | None

    @property
    def corrected(self) -> dict[str, float]:
        """p-values of ``comparisons``, corrected by Holm's rule for their number."""
        values = holm([comparison.p_value for comparison in self.comparisons.values()])
        return dict(zip(self.comparisons, values, strict=True))

    def write(self, folder: Path | str) -> Path:
        """Write ``comparison.json``."""
        path = Path(folder) / "comparison.json"
        values = {
            "other": self.other,
            "scores": {
                name: asdict(comparison) | {"p_holm": self.corrected[name]}
                for name, comparison in self.comparisons.items()
            },
            "mcnemar": None if self.mcnemar is None else asdict(self.mcnemar),
        }
        write_json(path, values)
        return path


def against(result: EvaluationResult, folder: Path | str) -> Paired:
    """Compare a result with what an earlier evaluation wrote to ``folder``.

    Raises:
        UsageError: it holds no predictions, or of other clips, outputs or truth.
    """
    second = read_predictions(folder, result.task)
    names = [score.name for score in result.scores if "/" not in score.name and not score.name.endswith("_per_video")]
    settings = result.settings
    drawn = settings["level"], settings["replicates"], settings["seed"]
    return pair(result.task, (result.predictions, second), str(folder), names, result.units(), result.videos(), *drawn)


def pair(
    task: Task,
    both: tuple[Predictions, Predictions],
    other: str,
    names: Sequence[str] = (),
    units: Sequence[str] | None = None,
    videos: Sequence[str] | None = None,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Paired:
    """Compare two systems' predictions of the same clips.

    Args:
        task: of both.
        both: first and second.
        other: what messages call the second.
        names: metrics; by default those of the task.
        units, videos: of every clip, as ``judge`` takes them.
        level, replicates, seed: of the bootstrap.

    Raises:
        UsageError: they have other clips or another truth.
    """
    first, second = both
    if first.ids != second.ids or len(first.clip_of) != len(second.clip_of):
        same = len(set(first.ids) & set(second.ids))
        raise UsageError(
            f"{other}: has {len(second.ids)} clips, this result {len(first.ids)}, {same} in common; paired comparison "
            "needs the same clips"
        )
    if not np.allclose(first.truth, second.truth, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise UsageError(f"{other}: the truth of the clips differs; both must be judged by the same labels")
    chosen = names or task.metrics()
    pairs = zip(judge(task, first, chosen, units, videos), judge(task, second, chosen, units, videos), strict=True)
    comparisons: dict[str, Comparison] = {}
    titles: dict[str, str] = {}
    before, drawn = np.zeros((0, 0)), np.zeros((0, 0))
    for one, two in pairs:
        sums = np.concatenate([one.sums, two.sums], axis=1)
        if not np.array_equal(sums, before):  # metrics of one confusion matrix share their samples
            before, drawn = sums, resample(sums, replicates, seed) if len(sums) > 1 else drawn
        comparisons[one.name] = compare(one.sums, two.sums, one.value, level, replicates, seed, drawn)
        titles[one.name] = one.title
    return Paired(other, comparisons, titles, _mcnemar(first, second, task))


def read_predictions(folder: Path | str, task: Task) -> Predictions:
    """What ``EvaluationResult.write`` put into ``predictions.csv``, for the same task."""
    path = Path(folder) / "predictions.csv"
    try:
        table = pd.read_csv(path, dtype={"id": str, "truth": str}, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no predictions to compare with ({error})") from None
    outputs = [f"output_{name}" if name in FIXED_COLUMNS else name for name in task.columns()]
    truths = ["truth"] if task.classes is not None else [f"truth_{name}" for name in task.columns()]
    missing = [column for column in ("id", *outputs, *truths) if column not in table]
    if missing:
        raise UsageError(f"{path}: no column {missing[0]!r}; it was written for another task")
    if task.classes is None:
        truth = table[truths].to_numpy(dtype=np.float64)
    else:
        numbers = {name: number for number, name in enumerate(task.classes)}
        truth = np.asarray([numbers.get(name, -100) for name in table["truth"]], dtype=np.int64)
    values = table[outputs].to_numpy(dtype=np.float64)
    times = table["time"].to_numpy(dtype=np.float64) if "time" in table else np.full(len(table), np.nan)
    rows = table.groupby("id", sort=True).indices
    clips = [ClipPrediction(str(id_), values[at], truth[at], times[at], 1) for id_, at in rows.items()]
    return Predictions.join([Predictions(tuple(clips))])


def _mcnemar(first: Predictions, second: Predictions, task: Task) -> McNemar | None:
    if task.classes is None:
        return None
    truth = first.truth
    known = truth >= 0
    right = [(predictions.output.argmax(axis=1) == truth)[known] for predictions in (first, second)]
    return mcnemar(right[0], right[1])
