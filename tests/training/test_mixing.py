"""Mixing against values of the published code, and by its properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import UsageError
from mien.training.mixing import mix
from mien.training.schema import Mixing

# first rows of the targets that the published code (7 classes, smoothing 0.1 taken off again) makes for seeds 0 and 1
BOTH = Mixing(mixup=0.8, cutmix=1.0)


class Legacy:
    """The draws of numpy's old global generator, which the published code uses, under the new names."""

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed)
        self._state.rand()  # the published code first asks whether to mix at all

    def random(self) -> float:
        return float(self._state.rand())

    def beta(self, a: float, b: float) -> float:
        return float(self._state.beta(a, b))

    def integers(self, high: int) -> int:
        return int(self._state.randint(0, high))


# seed → share of the clip itself in its target, as published (targets there: 0.1 / 7 + 0.9 * share)
PUBLISHED = {0: 0.4926412105560303, 1: 0.014333195984363556, 2: 0.5627232193946838}


@pytest.mark.parametrize("seed", PUBLISHED)
def test_published_shares(seed: int) -> None:
    batch = {"video": torch.zeros(4, 3, 2, 16, 16), "target": torch.arange(4)}
    target = mix(batch, 7, BOTH, Legacy(seed))["target"]
    smoothed = 0.9 * target + 0.1 / 7
    assert float(smoothed[0, 0]) == pytest.approx(PUBLISHED[seed], abs=1e-7)
    torch.testing.assert_close(smoothed[0, 3], smoothed[1, 2])
    torch.testing.assert_close(target.sum(dim=1), torch.ones(4))


@given(seed=st.integers(0, 10_000), height=st.integers(2, 20), width=st.integers(2, 20))
def test_target_follows_the_pasted_area(seed: int, height: int, width: int) -> None:
    video = torch.arange(2.0).reshape(2, 1, 1, 1, 1).expand(2, 3, 4, height, width)
    mixed = mix({"video": video, "target": torch.tensor([0, 1])}, 2, Mixing(cutmix=1.0), np.random.default_rng(seed))
    assert torch.isclose(mixed["video"][0].mean(), mixed["target"][0, 1], atol=1e-6)
    assert ((mixed["video"] == 0) | (mixed["video"] == 1)).all(), "cutmix blends nothing"


@given(seed=st.integers(0, 10_000))
def test_mixup_blends_clip_and_target_alike(seed: int) -> None:
    video = torch.arange(2.0).reshape(2, 1, 1, 1, 1).expand(2, 3, 4, 5, 5)
    mixed = mix({"video": video, "target": torch.tensor([0, 1])}, 2, Mixing(mixup=0.8), np.random.default_rng(seed))
    torch.testing.assert_close(mixed["video"][:, 0, 0, 0, 0], mixed["target"][:, 1])


@pytest.mark.parametrize("extra", [{"target": torch.zeros(2, 3)}, {"sound": torch.zeros(2, 5)}])
def test_what_cannot_be_mixed_is_refused(extra: dict[str, Any]) -> None:
    batch = {"video": torch.zeros(2, 3, 2, 4, 4), "target": torch.tensor([0, 1])} | extra
    with pytest.raises(UsageError, match="mixing blends videos with one class"):
        mix(batch, 2, Mixing(mixup=0.8), np.random.default_rng(0))
