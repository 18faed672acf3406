"""What a pretext's features are worth while it trains: clips judged by their nearest neighbours, without training.

Wu et al., arXiv 1805.01978, as DINO's code judges its features: cosine similarity, votes weighted by
``exp(similarity / 0.07)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from mien.data.augment import Deterministic
from mien.data.dataset import ClipDataset
from mien.data.loader import ClipLoader
from mien.data.order import EpochOrder
from mien.data.sampling import EvenViews
from mien.data.seeding import generator
from mien.errors import MienError, UsageError
from mien.evaluation.metrics import metric
from mien.models.contract import Encoder
from mien.pretext import Pretext
from mien.pretext.collapse import spread
from mien.training.experiment import Experiment

TEMPERATURE = 0.07


class NeighbourProbe:
    """Judges an encoder by the column ``pretext.probe.target`` of the manifest.

    Clips of the validation part are told by their neighbours among training clips; where there is no validation part,
    training clips by those of other subjects. Classes give ``knn_uar``, numbers ``knn_ccc``.

    Raises:
        UsageError: the manifest has no such column.
    """

    def __init__(self, experiment: Experiment, fabric: Fabric) -> None:
        recipe = experiment.recipe
        assert recipe.pretext is not None
        assert recipe.pretext.probe is not None
        self.settings, self._fabric = recipe.pretext.probe, fabric
        rng = generator(recipe.seed, "probe")
        train, validation = (
            [str(id_) for id_ in rng.permutation(sorted(ids))[: self.settings.clips]]
            for ids in (experiment.protocol.train, experiment.protocol.validation)
        )
        table = experiment.manifest.frame.set_index("id")
        if self.settings.target not in table:
            raise UsageError(
                f"pretext.probe.target={self.settings.target!r} is no column of {experiment.manifest.name}"
            )
        self._column = table[self.settings.target]
        self._subjects = table["subject"].astype(str) if "subject" in table else pd.Series(table.index, table.index)
        self._bank, self._asked = sorted(train), sorted(validation) or sorted(train)
        inputs = experiment.specification.inputs
        ids = sorted({*self._bank, *self._asked})
        dataset = ClipDataset(
            experiment.manifest, ids, inputs, EvenViews(segments=1), Deterministic(inputs), seed=recipe.seed
        )
        order = EpochOrder(recipe.seed, len(dataset), recipe.part, shuffle=False, drop_last=False)
        self._loader = ClipLoader(dataset, order, 0, max_unreadable=None)

    def __call__(self, module: nn.Module) -> dict[str, float]:
        """``knn_uar`` or ``knn_ccc``, ``feature_std`` of the judged clips, and ``n``, their number."""
        assert isinstance(module, Pretext)
        features = self._features(module.encoder)
        bank, asked = ([id_ for id_ in ids if id_ in features] for ids in (self._bank, self._asked))
        if len(bank) < 2 or not asked:
            raise MienError("the probe could read no clips; look at the manifest's paths")
        keys, queries = (torch.stack([features[id_] for id_ in ids]) for ids in (bank, asked))
        similarity = (functional.normalize(queries, dim=-1) @ functional.normalize(keys, dim=-1).T).numpy()
        owners = self._subjects.loc[bank].to_numpy()
        similarity[self._subjects.loc[asked].to_numpy()[:, None] == owners[None]] = -np.inf
        name, value = neighbours_say(
            similarity, self._column.loc[bank], self._column.loc[asked], self.settings.neighbours
        )
        return {name: value, "feature_std": float(spread(queries)), "n": float(len(asked))}

    @torch.no_grad()
    def _features(self, encoder: Encoder) -> dict[str, torch.Tensor]:
        """Pooled features by id, on the CPU."""
        found: dict[str, torch.Tensor] = {}
        before = encoder.training
        encoder.eval()
        self._loader.set_epoch(0)
        for batch in self._loader:
            if batch["ids"]:
                pooled = encoder.forward_features({"video": batch["video"].to(self._fabric.device)}).pooled
                found |= dict(zip(batch["ids"], pooled.float().cpu(), strict=True))
        encoder.train(before)
        return found


def neighbours_say(
    similarity: NDArray[Any], bank: pd.Series[Any], asked: pd.Series[Any], count: int
) -> tuple[str, float]:
    """Metric of the truth of ``asked`` against the votes of the ``count`` nearest of ``bank``.

    Args:
        similarity: ``(asked, bank)``, -inf where a clip may not vote.
        bank, asked: classes or numbers.
        count: neighbours at most.
    """
    count = min(count, similarity.shape[1])
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    weights = np.exp((np.take_along_axis(similarity, nearest, 1) - similarity.max(axis=1, keepdims=True)) / TEMPERATURE)
    weights = np.nan_to_num(weights)
    if pd.api.types.is_numeric_dtype(bank):
        told = (weights * bank.to_numpy(float)[nearest]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
        return "knn_ccc", float(metric("ccc")(asked.to_numpy(float), told))
    names = sorted({*bank.astype(str), *asked.astype(str)})
    codes, truth = (np.searchsorted(names, part.astype(str).to_numpy().astype(str)) for part in (bank, asked))
    votes = np.zeros((len(asked), len(names)))
    for place in range(count):
        votes[np.arange(len(asked)), codes[nearest[:, place]]] += weights[:, place]
    return "knn_uar", float(metric("uar")(truth, votes))
