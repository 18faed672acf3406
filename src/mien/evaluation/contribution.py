"""What every feature stream of a model brings: left out one at a time, and alone, on the same clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mien.data.modalities import take_out
from mien.evaluation.intervals import Comparison, compare
from mien.evaluation.predictions import predict_views
from mien.evaluation.result import EvaluationResult
from mien.evaluation.scores import judge

Batches = Callable[[], Iterable[Mapping[str, Any]]]


def stream_notes(model: nn.Module, batches: Batches, names: Sequence[str], whole: EvaluationResult) -> tuple[str, ...]:
    """Sentences for the report on what each stream brings, by the task's first metric, paired by subject or clip.

    Streams are taken out by saying that they are absent; the weights stay those that were trained with all of them.

    Args:
        model: where ``whole`` comes from, on its device.
        batches: the same batches as ``whole``'s, anew at every call.
        names: of the streams, two or more.
        whole: judged with all of them.
    """
    title = whole.scores[0].title
    against = {name: _judged(model, batches, [name], whole) for name in names}
    alone = {name: _judged(model, batches, [one for one in names if one != name], whole) for name in names}
    best = max(alone, key=lambda name: alone[name].second)
    losses = "; ".join(
        f"without {name} {one.second:.3f} (loss {one.difference:+.3f} {_span(one)})" for name, one in against.items()
    )
    gain = alone[best]
    told = (
        f"all {len(names)} together gain {gain.difference:+.3f} {_span(gain)} over the best one alone, {best} with "
        f"{gain.second:.3f}"
    )
    if not gain.interval.low > 0:
        units = f"{whole.scores[0].interval.units} {whole.unit}s"
        told += (
            f": the interval holds 0, so these {units} do not show that the other streams add to it; they may say the "
            "same, be noise to this task, or need more training clips to be weighed against each other"
        )
    return (
        f"{title} with all streams {gain.first:.3f}; taken out one at a time: {losses}",
        f"{told} (of these weights, trained with all streams; a model trained on {best} alone may do better)",
    )


def _judged(model: nn.Module, batches: Batches, gone: Sequence[str], whole: EvaluationResult) -> Comparison:
    """All streams (first) against all but ``gone`` (second)."""
    predictions = predict_views(model, whole.task, _without(batches(), gone))
    first = whole.judgements[0]
    (second,) = [
        one
        for one in judge(whole.task, predictions, [first.name], whole.units(), whole.videos())
        if one.name == first.name
    ]
    drawn = whole.settings
    return compare(first.sums, second.sums, first.value, drawn["level"], drawn["replicates"], drawn["seed"])


def _without(batches: Iterable[Mapping[str, Any]], gone: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        changed = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
        if batch["ids"]:
            for name in gone:
                changed = take_out(changed, name, torch.ones(len(batch["clip"]), dtype=torch.bool))
        yield dict(batch) | changed


def _span(one: Comparison) -> str:
    return f"[{one.interval.low:+.3f}, {one.interval.high:+.3f}]"
