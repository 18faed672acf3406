"""What a model of several modalities is worth when some are missing: the published grid, and curves over how much is.

Every clip is read once; all conditions are applied to the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn

from mien.checkpoints.bundle import load
from mien.data.modalities import modalities_of, span_steps, steps_of, take_out
from mien.data.seeding import generator
from mien.errors import UsageError
from mien.evaluation.assess import EvaluationSettings, evaluation_loader
from mien.evaluation.distortions import DISTORTIONS, Distortion, keep_only
from mien.evaluation.exposure import SEEN
from mien.evaluation.predictions import Predictions, predict_views
from mien.evaluation.result import EvaluationResult, units_of, videos_of
from mien.evaluation.scores import judge, score
from mien.files import complete, write_json
from mien.models.device import placed
from mien.tasks import Task

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Condition:
    """What is done to a batch.

    Attributes:
        kind: ``grid`` keeps one modality of all clips and distorts the others; ``clips`` takes one modality away from a
            share of the clips; ``time`` takes it away from a share of every clip's time, in one span.
        modality: what is kept (``grid``; ``both`` keeps all) or lost.
        distortion: what takes the place of the others in the grid.
        share: of clips or of time.
    """

    kind: Literal["grid", "clips", "time"]
    modality: str
    distortion: Distortion | None = None
    share: float = 0.0

    def __call__(self, batch: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """The batch as this condition has it; what is drawn depends on the seed and the ids of clips alone."""
        inputs = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
        if self.kind == "grid":
            key = "+".join(batch["ids"])
            noise = torch.Generator().manual_seed(int(generator(seed, "noise", key).integers(2**63)))
            return dict(batch) | keep_only(inputs, self.modality, self.distortion, noise)
        draws = torch.tensor([generator(seed, self.kind, id_).random() for id_ in batch["ids"]])[batch["clip"]]
        if self.kind == "clips":
            return dict(batch) | take_out(inputs, self.modality, draws < self.share)
        low = draws * (1 - self.share)
        gone = span_steps(steps_of(inputs, self.modality), low, low + self.share)
        return dict(batch) | take_out(inputs, self.modality, gone)


@dataclass(frozen=True)
class Missing:
    """Scores under all conditions.

    Attributes:
        table: columns ``kind, modality, distortion, share, metric, value, low, high, n``; ``modality`` is what is kept
            in the grid and what is lost in the curves.
        metrics: titles by name, the first one is drawn.
        unit: what intervals draw: ``subject`` or ``clip``.
        seen: what the weights have seen of the judged corpus, in words.
    """

    table: pd.DataFrame
    metrics: Mapping[str, str]
    unit: str
    seen: str = ""

    def rows(self, metric: str) -> list[dict[str, Any]]:
        """The table's rows of one metric."""
        rows = self.table[self.table["metric"] == metric].to_dict("records")
        return [{str(key): value for key, value in row.items()} for row in rows]

    def value(self, metric: str, kind: str, modality: str, distortion: str = "", share: float = 0.0) -> float:
        """One score; raises ``KeyError`` where there is none."""
        rows = self.table[
            (self.table["metric"] == metric)
            & (self.table["kind"] == kind)
            & (self.table["modality"] == modality)
            & (self.table["distortion"] == distortion)
            & (self.table["share"] == share)
        ]
        if len(rows) != 1:
            raise KeyError((metric, kind, modality, distortion, share))
        return float(rows["value"].iloc[0])

    def write(self, folder: Path | str) -> dict[str, Path]:
        """Write ``missing.csv``, ``missing.json`` and the pictures; paths by name."""
        from mien.evaluation.missing_pictures import draw_missing

        folder = Path(folder)
        paths = {"missing": folder / "missing.csv", "missing_json": folder / "missing.json"}
        with complete(paths["missing"]) as part:
            marked = self.table.assign(**{SEEN: self.seen})
            marked.to_csv(part, index=False, float_format="%.6f", lineterminator="\n")
        rows = self.table.to_dict("records")
        told = {"metrics": dict(self.metrics), "unit": self.unit, SEEN: self.seen, "rows": rows}
        write_json(paths["missing_json"], told)
        for name, content in draw_missing(self).items():
            paths[name] = folder / f"{name}.png"
            with complete(paths[name]) as part:
                part.write_bytes(content)
        return paths


def conditions(names: Sequence[str], shares: Sequence[float] = SHARES) -> list[Condition]:
    """All conditions for a model of these modalities: the grid, then both curves for each modality."""
    grid = [Condition("grid", "both")]
    grid += [Condition("grid", name, distortion) for distortion in DISTORTIONS for name in names]
    kinds: tuple[Literal["clips", "time"], ...] = ("clips", "time")
    return grid + [Condition(kind, name, share=share) for kind in kinds for name in names for share in shares]


def evaluate_missing(
    result: EvaluationResult,
    settings: EvaluationSettings | None = None,
    shares: Sequence[float] = SHARES,
    progress: Callable[[int, int], None] | None = None,
) -> Missing:
    """Judge the weights and clips of a result once more with modalities missing.

    Args:
        result: of ``evaluate``.
        settings: those of the result.
        shares: of clips and of time, for the curves.
        progress: told how many of how many clips are done.

    Raises:
        UsageError: the model takes one modality only, or the clips hold only one.
    """
    settings = settings or EvaluationSettings()
    bundle = load(result.weights.source)
    inputs = bundle.specification.inputs
    names = [name for name in ("video", "sound") if getattr(inputs, name) is not None]
    names += [stream.name for stream in inputs.streams]
    if len(names) < 2:
        raise UsageError(f"{result.weights.source} takes {names[0]} alone; --missing needs a model of two modalities")
    loader = evaluation_loader(result.manifest, result.part.ids, inputs, result.task, settings)
    wanted = conditions(names, shares)
    model = placed(bundle.model, settings.device)
    with settings.within_memory():
        found = _predict_all(model, result.task, loader, wanted, settings, progress, len(result.part.ids))
    metrics = {name: result[name].title for name in result.task.metrics()[:2]}
    rows = [
        row
        for condition, predictions in zip(wanted, found, strict=True)
        for row in _rows(result, condition, predictions, metrics, settings)
    ]
    return Missing(pd.DataFrame(rows), metrics, result.unit, result.part.seen.mark)


def _predict_all(
    model: nn.Module,
    task: Task,
    batches: Any,
    wanted: Sequence[Condition],
    settings: EvaluationSettings,
    progress: Callable[[int, int], None] | None,
    total: int,
) -> list[Predictions]:
    parts: list[list[Predictions]] = [[] for _ in wanted]
    done = 0
    for batch in batches:
        done += len(batch["ids"]) + len(batch["failures"])
        if batch["ids"]:
            batch |= {f"{name}_present": mask for name, mask in _marks(batch).items()}
            for part, condition in zip(parts, wanted, strict=True):
                changed = condition(batch, settings.seed)
                part.append(predict_views(model, task, [changed], **settings.forward))
        if progress is not None:
            progress(min(done, total), total)
    return [Predictions.join(part) for part in parts]


def _marks(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """Masks of a batch over time, those of whole clips spread out."""
    return {
        name: batch[f"{name}_present"].reshape(len(batch[name]), -1).expand(-1, steps_of(batch, name))
        for name in modalities_of(batch)
    }


def _rows(
    result: EvaluationResult,
    condition: Condition,
    predictions: Predictions,
    metrics: Mapping[str, str],
    settings: EvaluationSettings,
) -> list[dict[str, Any]]:
    ids = predictions.ids
    judgements = judge(
        result.task, predictions, tuple(metrics), units_of(result.manifest, ids), videos_of(result.manifest, ids)
    )
    kept = [one for one in judgements if one.name in metrics]
    facts = {
        "kind": condition.kind,
        "modality": condition.modality,
        "distortion": condition.distortion or "",
        "share": condition.share,
    }
    return [
        facts | {"metric": one.name, "value": one.value, "low": one.interval.low, "high": one.interval.high, "n": one.n}
        for one in score(kept, settings.level, settings.replicates, settings.seed)
    ]


def with_missing(result: EvaluationResult, missing: Missing) -> EvaluationResult:
    """The result with what ``evaluate_missing`` found, for the report and the files."""
    return replace(result, missing=missing)
