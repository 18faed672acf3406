"""Losses of values that are also told as bins (SS-VAERR, arXiv 2210.11341): weighted sums of terms for every output.

Every term is a mean over the labelled frames of a batch, taken together as one signal. The published code computes
some of them otherwise; each such way is a choice of ``Ways`` and not the default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from mien.errors import UsageError
from mien.tasks.losses import concordance_loss

Way = Literal["proper", "published"]
PUBLISHED_EPSILON = 1e-10


@dataclass(frozen=True)
class Ways:
    """How terms are computed; ``published`` repeats what the authors' code does.

    Attributes:
        ccc: ``published`` takes unbiased variances and adds 1e-10 to means, which float32 loses.
        cross_entropy: ``published`` applies it to probabilities as if they were logits, so that it stays between
            2.08 and 3.08 for 20 bins, nearly flat.
        columns: ``published`` judges ``ce`` and ``bce`` on bins 0-2 and 3-5 of the first output alone.
        costs: see ``mien.tasks.published_costs``; ``proper`` multiplies a frame's cross entropy by one plus the share
            of the range by which its most probable bin is off.
    """

    ccc: Way = "proper"
    cross_entropy: Way = "proper"
    columns: Way = "proper"
    costs: Way = "proper"


@dataclass(frozen=True)
class Told:
    """What a model says about one output in N labelled frames, and the truth.

    Attributes:
        probabilities, log_probabilities: ``(N, bins)``.
        values: ``(N,)`` in -1..1.
        truth: ``(N,)`` in -1..1; ``bins``: int64 ``(N,)``, the bin that it falls in.
    """

    probabilities: Tensor
    log_probabilities: Tensor
    values: Tensor
    truth: Tensor
    bins: Tensor

    @property
    def flags(self) -> Tensor:
        """Truth as 0 and 1, ``(N, bins)``."""
        return functional.one_hot(self.bins, self.probabilities.shape[-1]).to(self.probabilities)


Weights = dict[str, float]


def weights_of(loss: str, outputs: tuple[str, ...], bins: int) -> dict[str, Weights]:
    """Weight of every term of a named loss, by output.

    Raises:
        UsageError: the loss favours arousal and no output is called so.
    """
    count = len(outputs)
    plain: dict[str, Weights] = {
        "mse": {"mse": 1 / count},
        "ccc": {"ccc": 1.0},
        "ce": {"ce": 1.0},
        "bce": {"bce": 1.0},
        "ccc+ce": {"ccc": 0.5, "ce": 0.5},
        "ccc+ce+mse": {"ccc": 0.5, "ce": 0.25, "mse": 0.25},
        "ccc+ncce": {"ccc": 1.0, "ncce": 0.1},
        "ccc+ncce+mse": {"ccc": 1.0, "ncce": 0.1, "mse": 1.0},
        "brier+mse": {"brier": 1 / (count * (bins + 1)), "mse": 1 / (count * (bins + 1))},
    }
    favouring: dict[str, Weights] = {
        "arousal:ccc+ce": {"ccc": 1.0, "ce": 0.5},
        "arousal:ccc+ce+mse": {"ccc": 1.0, "ce": 0.5, "mse": 0.5},
    }
    if loss in plain:
        return dict.fromkeys(outputs, plain[loss])
    if "arousal" not in outputs:
        raise UsageError(f"loss {loss!r} favours arousal, and the outputs are {', '.join(outputs)}; choose another")
    return {name: favouring[loss] if name == "arousal" else {"ccc": 1.0} for name in outputs}


def ccc(told: Told, way: Way) -> Tensor:
    """One minus the concordance correlation coefficient; 1 for a constant signal. See ``concordance_loss``."""
    if way == "proper":
        return concordance_loss(told.values[:, None], told.truth[:, None])
    return published_concordance_loss(told.values, told.truth)


def published_concordance_loss(x: Tensor, y: Tensor) -> Tensor:
    """As the authors compute it, over ``(N,)``; meant for float64 (a constant signal gives NaN in float32)."""
    mean_x, mean_y = x.mean() + PUBLISHED_EPSILON, y.mean() + PUBLISHED_EPSILON
    variance_x, variance_y = x.var() + PUBLISHED_EPSILON, y.var() + PUBLISHED_EPSILON
    spread_x, spread_y = x.std() + PUBLISHED_EPSILON, y.std() + PUBLISHED_EPSILON
    off_x, off_y = x - mean_x, y - mean_y
    rho = (off_x * off_y).sum() / (off_x.square().sum().sqrt() * off_y.square().sum().sqrt())
    return 1 - 2 * rho * spread_x * spread_y / (variance_x + variance_y + (mean_y - mean_x).square())


def mse(told: Told) -> Tensor:
    """Mean squared error of the values."""
    return (told.values - told.truth).square().mean()


def ce(told: Told, way: Way) -> Tensor:
    """Cross entropy of the bins."""
    if way == "published":
        return functional.cross_entropy(told.probabilities, told.bins)
    return functional.nll_loss(told.log_probabilities, told.bins)


def bce(told: Told) -> Tensor:
    """Binary cross entropy, mean over frames and bins."""
    return functional.binary_cross_entropy(told.probabilities, told.flags)


def brier(told: Told) -> Tensor:
    """Squared distance of the probabilities from the truth, summed over bins (Brier 1950)."""
    return (told.probabilities - told.flags).square().sum(dim=-1).mean()


def ncce(told: Told) -> Tensor:
    """Cross entropy that counts more the farther off the most probable bin is (AlBadawy and Kim, ICMI 2018)."""
    count = told.probabilities.shape[-1]
    cost = 1 + (told.probabilities.argmax(dim=-1) - told.bins).abs().to(told.values) / count
    return (cost * functional.nll_loss(told.log_probabilities, told.bins, reduction="none")).mean()


def first_bins(told: Told, kind: str) -> Tensor:
    """``ce`` or ``bce`` as published: bins 0-2 and 3-5 of one output, each with the truth of the same bins."""
    total = told.values.new_zeros(())
    for start in (0, 3):
        part, flags = told.probabilities[:, start : start + 3], told.flags[:, start : start + 3]
        if kind == "bce":
            total = total + functional.binary_cross_entropy(part, flags)
        else:
            total = total + functional.cross_entropy(part, flags.argmax(dim=-1))
    return total


def binned_loss(
    told: dict[str, Told],
    weights: dict[str, Weights],
    ways: Ways,
    published_costs: Callable[[str, Told], Tensor] | None = None,
) -> Tensor:
    """Weighted sum of the terms of all outputs.

    Args:
        told: by output; outputs without labelled frames are left out by the caller.
        weights: see ``weights_of``.
        ways: how terms are computed.
        published_costs: the ``ncce`` term as published, for ``ways.costs``.
    """
    terms: dict[str, Callable[[Told], Tensor]] = {
        "ccc": lambda one: ccc(one, ways.ccc),
        "mse": mse,
        "ce": lambda one: ce(one, ways.cross_entropy),
        "bce": bce,
        "brier": brier,
        "ncce": ncce,
    }
    total = torch.zeros(())
    for number, (name, one) in enumerate(told.items()):
        for term, weight in weights[name].items():
            if term in ("ce", "bce") and ways.columns == "published":
                value = first_bins(one, term) if number == 0 else one.values.new_zeros(())
            elif term == "ncce" and published_costs is not None:
                value = published_costs(name, one)
            else:
                value = terms[term](one)
            total = total + weight * value
    return total
