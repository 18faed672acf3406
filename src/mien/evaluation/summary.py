"""A result as plain data for ``metrics.json``; what is undefined is None."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mien import __version__
from mien.evaluation.abstention import Answered
from mien.evaluation.calibration import reliability
from mien.evaluation.classes import ClassScore
from mien.evaluation.intervals import Interval
from mien.evaluation.scores import Score
from mien.evaluation.selective import risk_coverage
from mien.evaluation.subgroups import GroupScore
from mien.files import finite

if TYPE_CHECKING:
    from mien.evaluation.result import EvaluationResult


def summarise(result: EvaluationResult) -> dict[str, Any]:
    """Everything but the predictions."""
    config = result.task.config
    summary: dict[str, Any] = {
        "mien": __version__,
        "weights": asdict(result.weights),
        "task": config.model_dump(mode="json"),
        "data": {
            "manifest": result.manifest.name,
            "part": result.part.name,
            "protocol": result.part.digest,
            "clips": len(result.part.ids),
            "scored": len(result.predictions.clips),
            "frames": len(result.predictions.clip_of) if config.level == "frame" else None,
        },
        "seen": asdict(result.part.seen) | {"mark": result.part.seen.mark},
        "settings": result.settings,
        "unit": result.unit,
        "scores": [_score(score) for score in result.scores],
    }
    matrix = result.confusion
    if matrix is not None:
        summary["classes"] = [_class(one) for one in result.classes]
        summary["confusion"] = matrix.tolist()
        if result.probable:
            summary["reliability"] = _reliability(result)
            summary["risk_coverage"] = _risk_coverage(result)
    if result.answered is not None:
        summary["answered"] = _answered(result.answered)
    if result.groups:
        summary["groups"] = [_group(one) for one in result.groups]
    if result.task.bins is not None:
        summary["bin_confusion"] = {name: table.tolist() for name, table in result.bin_confusions().items()}
    if result.task.kind == "intensities":
        summary["tenths"] = {name: table.tolist() for name, table in result.tenths().items()}
        summary["strongest"] = result.strongest().tolist()
    if result.missing is not None:
        summary["missing"] = result.missing.table.to_dict("records")
    summary["cost"] = result.cost
    summary["not_scored"] = [asdict(failure) for failure in result.predictions.failures]
    summary["notes"] = list(result.notes)
    plain: dict[str, Any] = finite(summary)
    return plain


def _risk_coverage(result: EvaluationResult) -> dict[str, Any] | None:
    """What abstaining would buy; None where no clip has a known class."""
    predictions = result.predictions
    if not (predictions.truth >= 0).any():
        return None
    curve = risk_coverage(predictions.truth, predictions.output)
    return {"mean_risk": curve.area, "ideal": curve.ideal, "table": curve.table()}


def _answered(found: Answered) -> dict[str, Any]:
    """Coverage, why the rest is not answered, and the task's metrics over what is."""
    return {
        "coverage": found.coverage,
        "clips": found.clips,
        "reasons": found.counts,
        "scores": [_score(score) for score in found.scores],
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "name": score.name,
        "title": score.title,
        "higher_is_better": score.higher_is_better,
        "value": score.value,
        **_ends(score.interval),
        "level": score.interval.level,
        "n": score.n,
        "counted": score.counted,
        "units": score.interval.units,
        "replicates": score.interval.replicates,
    }


def _ends(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def _class(one: ClassScore) -> dict[str, Any]:
    measures = {name: {"value": value, **_ends(one.intervals[name])} for name, value in one.values.items()}
    return {"name": one.name, "n": one.true, "predicted": one.predicted, **measures}


def _group(one: GroupScore) -> dict[str, Any]:
    gap = one.gap
    return {
        "column": one.column,
        "group": one.group,
        "clips": one.clips,
        "units": one.subjects,
        "metric": one.score.name,
        "title": one.score.title,
        "value": one.score.value,
        **_ends(one.score.interval),
        "gap": None
        if gap is None
        else {
            "value": gap.difference,
            **_ends(gap.interval),
            "p": gap.p_value,
            "p_holm": gap.p_holm,
        },
    }


def _reliability(result: EvaluationResult) -> dict[str, list[Any]]:
    known = result.predictions.truth >= 0
    curve = reliability(result.predictions.truth[known], result.predictions.output[known])
    return {
        "edges": np.round(curve.edges, 6).tolist(),
        "count": curve.count.tolist(),
        "confidence": curve.confidence.tolist(),
        "accuracy": curve.accuracy.tolist(),
    }
