"""Clips that are judged together: outputs of all clips of a long video, averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mien.data.manifest import Manifest
from mien.errors import UsageError
from mien.evaluation.predictions import ClipPrediction, Predictions


def representatives(manifest: Manifest, ids: Sequence[str]) -> dict[str, str]:
    """For every id the first id, in sorted order, of its group (column ``group``); a clip without one is its own.

    Raises:
        UsageError: the manifest names no groups.
    """
    if not manifest.has("group"):
        raise UsageError(f"{manifest.name}: no column 'group' that names the videos whose clips are averaged; add it")
    groups = manifest.column("group", sorted(ids))
    first: dict[str, str] = {}
    return {
        str(id_): str(id_) if pd.isna(group) else first.setdefault(str(group), str(id_))
        for id_, group in groups.items()
    }


def average_groups(predictions: Predictions, manifest: Manifest) -> Predictions:
    """One prediction per group: the mean of its clips' outputs, under the id of its first clip that could be read.

    Raises:
        UsageError: clips of one group differ in their truth.
    """
    first = representatives(manifest, predictions.ids)
    members: dict[str, list[ClipPrediction]] = {}
    for clip in predictions.clips:
        members.setdefault(first[clip.id], []).append(clip)
    return Predictions(tuple(_mean(clips, manifest) for clips in members.values()), predictions.failures)


def _mean(clips: list[ClipPrediction], manifest: Manifest) -> ClipPrediction:
    one = clips[0]
    for other in clips[1:]:
        if not np.array_equal(other.truth, one.truth):
            group = manifest.column("group", [one.id]).iloc[0]
            raise UsageError(
                f"{manifest.name}: clips {one.id!r} and {other.id!r} of group {group!r} have different labels; clips "
                "that are averaged must share one"
            )
    output = np.mean([clip.output for clip in clips], axis=0)
    return ClipPrediction(one.id, output, one.truth, one.times, sum(clip.views for clip in clips))
