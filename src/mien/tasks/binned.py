"""Continuous values in -1..1, such as arousal and valence, told twice: as a value and as one of N bins."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from torch import Tensor, nn

from mien.models.contract import Encoder, Recogniser
from mien.models.specification import TaskConfig
from mien.nn.device import exactly, send
from mien.tasks.binned_losses import Told, Way, Ways, binned_loss, weights_of
from mien.tasks.contract import Task
from mien.tasks.options import HeadOptions, check_targets, read_options
from mien.tasks.published_costs import PublishedCosts
from mien.tasks.recurrent import RecurrentHead


def bins_of(values: ArrayLike, bins: int) -> NDArray[np.int64]:
    """Bin of every value: ``bins`` equal ones over -1..1, ``clip(floor((v + 1) * bins / 2), 0, bins - 1)``."""
    place = np.floor((np.asarray(values, dtype=np.float64) + 1) * (bins / 2))
    return np.clip(place, 0, bins - 1).astype(np.int64)


class BinnedOptions(HeadOptions):
    """Options of ``binned``.

    Attributes:
        bins: equal bins over -1..1.
        loss: see ``mien.tasks.binned_losses.weights_of``. ``arousal:...`` gives arousal, which shows less in faces,
            more terms than the other outputs.
        targets: manifest columns (per frame: columns of the label file) where they are not named as the outputs.
        hidden, layers: of the recurrent head, in each direction.
        spare: keep the second, unused head that published checkpoints hold.
        ccc, cross_entropy, columns, costs: ``published`` repeats the authors' computation of these terms
            (``mien.tasks.binned_losses.Ways``).
    """

    bins: int = Field(default=20, ge=2)
    loss: Literal[
        "mse",
        "ccc",
        "ce",
        "bce",
        "ccc+ce",
        "ccc+ce+mse",
        "arousal:ccc+ce",
        "arousal:ccc+ce+mse",
        "ccc+ncce",
        "ccc+ncce+mse",
        "brier+mse",
    ] = "ccc+ce+mse"
    targets: tuple[str, ...] | None = None
    hidden: int = Field(default=256, ge=1)
    layers: int = Field(default=2, ge=1)
    spare: bool = False
    ccc: Way = "proper"
    cross_entropy: Way = "proper"
    columns: Way = "proper"
    costs: Way = "proper"

    @property
    def ways(self) -> Ways:
        """How costs are computed: properly, or as the published program does."""
        return Ways(self.ccc, self.cross_entropy, self.columns, self.costs)


class Binned(Task):
    """``config.outputs`` are the names of the values (published order: arousal, valence).

    The head is recurrent (``mien.tasks.recurrent``) and gives, for every output, N bin scores and then a score of the
    value: softmax makes the bins' probabilities, ``2 sigmoid - 1`` the value. ``read`` gives the values, ``details``
    the probabilities. ``batch["target"]`` is float ``(B, K)`` or ``(B, T, K)``, NaN is a gap.
    """

    kind = "binned"

    def __init__(self, config: TaskConfig) -> None:
        super().__init__(config)
        self.options = read_options(BinnedOptions, config.options, self.kind)
        check_targets(self.options.targets, config.outputs)
        self.weights = weights_of(self.options.loss, config.outputs, self.options.bins)
        self._model: weakref.ref[nn.Module] | None = None
        self._costs = PublishedCosts(self._parameters) if self.options.costs == "published" else None

    @property
    def bins(self) -> int | None:
        """The option ``bins``: N equal bins over -1..1."""
        return self.options.bins

    def target_columns(self) -> tuple[str, ...]:
        """The option ``targets``, else the names of the outputs."""
        return self.options.targets or self.config.outputs

    def make_head(self, encoder: Encoder) -> nn.Module:
        """A ``RecurrentHead`` of K (N + 1) outputs, per frame or per clip as the task's level says."""
        options = self.options
        width = len(self.config.outputs) * (options.bins + 1)
        per_frame = self.config.level == "frame"
        head = RecurrentHead(
            encoder.feature_dim, width, options.hidden, options.layers, options.dropout, per_frame, options.spare
        )
        head.linear.weight.data.mul_(options.init_scale)
        return head

    def make_model(self, encoder: Encoder) -> Recogniser:
        """Encoder and head; remembered weakly, since ``costs: published`` penalises the model's parameters."""
        model = super().make_model(encoder)
        self._model = weakref.ref(model)
        return model

    def loss(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Weighted sum of the terms that the option ``loss`` names, over labelled frames of all clips as one signal.

        An output with fewer than two labelled frames in the batch adds nothing; where that is so for all, the loss is 0
        and has gradients of 0.
        """
        ways = self.options.ways
        scores = self._scores(exactly(outputs) if ways != Ways() else outputs.float())
        target = batch["target"].to(scores.device)
        told = {}
        for number, name in enumerate(self.config.outputs):
            truth = target[..., number].flatten()
            labelled = (~truth.isnan()).nonzero()[:, 0]
            if len(labelled) >= 2:
                told[name] = self._told(scores[..., number, :].flatten(0, -2)[labelled], truth[labelled])
        if not told:
            return outputs.sum() * 0.0
        return send(binned_loss(told, self.weights, ways, self._costs), outputs.device)

    def _scores(self, outputs: Tensor) -> Tensor:
        """``(..., K (N + 1))`` → ``(..., K, N + 1)``."""
        return outputs.unflatten(-1, (len(self.config.outputs), self.options.bins + 1))

    def _told(self, scores: Tensor, truth: Tensor) -> Told:
        """Of one output: ``(M, N + 1)`` scores and ``(M,)`` truth."""
        logits, value = scores[:, :-1], scores[:, -1]
        place = ((exactly(truth) + 1) * (self.options.bins / 2)).floor().clamp(0, self.options.bins - 1)
        bins = place.long().to(value.device)
        return Told(logits.softmax(-1), logits.log_softmax(-1), 2 * value.sigmoid() - 1, truth.to(value), bins)

    def _parameters(self) -> Iterator[nn.Parameter]:
        model = self._model() if self._model is not None else None
        return iter(()) if model is None else model.parameters()

    def read(self, outputs: Tensor) -> Tensor:
        """The values in -1..1, ``(..., K (N + 1))`` → ``(..., K)``: ``2 sigmoid(score) - 1``."""
        return 2 * self._scores(outputs.float())[..., -1].sigmoid() - 1

    def details(self, outputs: Tensor) -> Tensor:
        """Probabilities of the bins, ``(..., K N)``, output by output."""
        return self._scores(outputs.float())[..., :-1].softmax(dim=-1).flatten(-2)

    def digest(self, merged: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values, then the number of every output's most probable bin: ``(..., 2 K)``."""
        count = len(self.config.outputs)
        told = merged[..., count:].reshape(*merged.shape[:-1], count, self.options.bins)
        return np.concatenate([merged[..., :count], told.argmax(axis=-1)], axis=-1)

    def metrics(self) -> tuple[str, ...]:
        """Concordance selects; Pearson's r and the errors stand beside it."""
        return ("ccc", "pearson", "mse", "rmse", "mae")
