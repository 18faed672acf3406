"""Masks: published draws, and what must hold for every mask."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.data.manifest import Row
from mien.errors import MienError
from mien.pretext.masking import RegionTubeMask, TubeMask, region_tube_mask, split_mask, tube_mask

ROW = Row("clip", Path("clip.mp4"))


def test_published_draws_with_the_legacy_generator() -> None:
    mask = tube_mask(np.random.RandomState(0), (8, 14, 14), 0.9).reshape(8, 196)
    visible = [1, 9, 10, 11, 34, 43, 58, 63, 73, 81, 86, 98, 109, 115, 121, 125, 135, 141, 148, 189]
    assert all(np.flatnonzero(~row).tolist() == visible for row in mask)


@given(st.integers(1, 4), st.integers(2, 6), st.integers(2, 6), st.floats(0.3, 0.95), st.integers(0, 99))
def test_a_tube_hides_the_same_share_of_every_slice(t: int, h: int, w: int, ratio: float, seed: int) -> None:
    mask = tube_mask(np.random.default_rng(seed), (t, h, w), ratio).reshape(t, h * w)
    assert (mask == mask[0]).all()
    assert mask[0].sum() == int(ratio * h * w)


def test_splitting_keeps_raster_order_and_loses_no_token() -> None:
    split = split_mask(np.array([True, False, True, True, False]))
    assert split["visible"].tolist() == [1, 4]
    assert split["masked"].tolist() == [0, 2, 3]
    assert split["visible"].dtype == torch.int64


def test_the_loader_draws_from_the_item_and_its_generator_alone() -> None:
    draw = pickle.loads(pickle.dumps(TubeMask((2, 16, 16), 0.75)))
    item = {"video": torch.zeros(3, 8, 64, 64)}
    first, again = (draw(np.random.default_rng(3), item, ROW) for _ in range(2))
    other = draw(np.random.default_rng(4), item, ROW)
    assert torch.equal(first["visible"], again["visible"])
    assert not torch.equal(first["visible"], other["visible"])
    assert len(first["visible"]) == 16
    assert len(first["masked"]) == 48


def test_clips_that_tubelets_do_not_divide_are_refused() -> None:
    item = {"video": torch.zeros(3, 7, 64, 64)}
    with pytest.raises(MienError, match="7 frames cannot be cut"):
        TubeMask((2, 16, 16))(np.random.default_rng(0), item, ROW)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1])
def test_ratio_must_hide_and_show_something(ratio: float) -> None:
    with pytest.raises(ValueError, match="mask ratio"):
        TubeMask((2, 16, 16), ratio)


@given(
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.floats(0.3, 0.95),
    st.integers(0, 99),
)
def test_every_region_hides_the_same_share(
    t: int, many: tuple[int, int], window: tuple[int, int], ratio: float, seed: int
) -> None:
    rows, columns = many[0] * window[0], many[1] * window[1]
    mask = region_tube_mask(np.random.default_rng(seed), (t, rows, columns), ratio, window)
    slices = mask.reshape(t, rows, columns)
    assert (slices == slices[0]).all()
    regions = slices[0].reshape(many[0], window[0], many[1], window[1])
    assert (regions.sum(axis=(1, 3)) == int(ratio * window[0] * window[1])).all()


@given(st.sampled_from(["local", "global"]), st.integers(0, 99))
def test_symmetric_masks_show_one_half_of_every_window(symmetry: str, seed: int) -> None:
    mask = region_tube_mask(np.random.default_rng(seed), (2, 6, 8), 0.75, (3, 8), symmetry)
    shown = ~mask.reshape(2, 2, 3, 2, 4)[0]  # window, row, half, column
    counts = shown.sum(axis=(1, 3))
    assert (np.sort(counts, axis=1) == [0, 6]).all()
    if symmetry == "global":
        assert (counts == counts[0]).all()


@pytest.mark.parametrize("options", [{"ratio": 0.4}, {"window": (2, 3)}])
def test_symmetric_masks_need_room(options: dict) -> None:
    with pytest.raises(ValueError, match="symmetric mask"):
        RegionTubeMask(**{"tubelet": (2, 16, 16), "window": (2, 4), "ratio": 0.9, "symmetry": "local"} | options)


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be cut into windows"):
        region_tube_mask(np.random.default_rng(0), (2, 5, 5), 0.5, (2, 5))
