"""Regions of a grid: an exact round trip, true neighbourhoods; and the block's parts where they act."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.nn.region import RegionBlock, from_regions, regions_of, to_regions

PARTS = st.tuples(*[st.integers(1, 3)] * 3)


@given(region=PARTS, times=PARTS, batch=st.integers(1, 2))
def test_regions_and_back(region: tuple[int, int, int], times: tuple[int, int, int], batch: int) -> None:
    grid = tuple(side * many for side, many in zip(region, times, strict=True))
    count = grid[0] * grid[1] * grid[2]
    tokens = torch.arange(batch * count * 2).reshape(batch, count, 2)
    cut = to_regions(tokens, grid, region)
    assert cut.shape == (batch, regions_of(grid, region), region[0] * region[1] * region[2], 2)
    assert torch.equal(from_regions(cut, grid, region), tokens)
    index = torch.arange(count)
    place = torch.stack((index // (grid[1] * grid[2]), index // grid[2] % grid[1], index % grid[2]), dim=1)
    by_region = to_regions(place[None], grid, region)[0] // torch.tensor(region)
    assert (by_region == by_region[:, :1]).all()  # all tokens of a region are neighbours


def test_regions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be cut into regions of"):
        regions_of((8, 10, 10), (2, 3, 10))


@torch.no_grad()
@pytest.mark.parametrize(
    ("options", "reached"),
    [
        ({"second": False, "third": "none"}, "own region"),
        ({"second": False, "third": "self"}, "own region"),
        ({"second": True, "third": "none"}, "region tokens"),
        ({"second": True, "third": "cross"}, "everything"),
    ],
)
def test_how_far_a_change_of_one_token_reaches(options: dict, reached: str) -> None:
    torch.manual_seed(0)
    block = RegionBlock(16, 2, **options).double().eval()
    tokens = torch.randn(1, 3, 5, 16, dtype=torch.float64)
    other = tokens.clone()
    other[0, 0, 2] = 10 * torch.randn(16)
    changed = (block(other) - block(tokens)).abs().amax(-1)[0] > 0
    assert changed[0].all()
    assert changed[1:, 0].all() == (reached != "own region")
    assert changed[1:, 1:].any() == (reached == "everything")


def test_shared_attention_is_one_module() -> None:
    separate, third, all_ = (RegionBlock(16, 2, sharing=sharing) for sharing in ("none", "first_third", "all"))
    sizes = [sum(p.numel() for p in block.parameters()) for block in (separate, third, all_)]
    attention = sum(p.numel() for p in separate.local_attention.parameters())
    assert sizes == [sizes[0], sizes[0] - attention, sizes[0] - 2 * attention]


@torch.no_grad()
def test_stochastic_depth_is_drawn_by_region_within_regions_and_by_clip_between_them() -> None:
    """A dropped branch leaves its tokens as they are: whole regions in the local and the last step, whole clips in the
    global one and the exchange."""
    torch.manual_seed(0)
    clips, regions, tokens = 3, 4, torch.randn(3, 4, 6, 16)
    reached: dict[str, set[tuple[int, ...]]] = {"local": set(), "global": set(), "exchange": set(), "mlp": set()}
    block = RegionBlock(16, 2, drop_path=0.5).train()
    for part, shape in (("local", (clips * regions,)), ("global", (clips,)), ("exchange", (clips,)), ("mlp", (12,))):
        for name, projection in (
            ("local", block.local_attention.out),
            ("global", block.global_attention.out),
            ("exchange", block.exchange_attention.out),
            ("mlp", block.mlp.contract),
        ):
            projection.weight.zero_()
            projection.bias.fill_(1.0 if name == part else 0.0)  # a branch that adds one wherever it is not dropped
        for _ in range(20):
            added = block(tokens) - tokens
            kept = added[:, :, 0] if part in ("local", "global", "mlp") else added[:, :, 1]
            drawn = kept.flatten(0, 1) if shape[0] > clips else kept[:, 0]
            if shape[0] == clips:
                torch.testing.assert_close(kept, kept[:, :1].expand_as(kept))
            assert ((drawn.abs() < 1e-5) | ((drawn - 2).abs() < 1e-5)).all(), "dropped, or doubled at a rate of a half"
            reached[part].add(tuple((drawn[:, 0] > 1).tolist()))
            if part == "global":
                assert not added[:, :, 1:].any()
            if part == "exchange":
                assert not added[:, :, 0].any()
                torch.testing.assert_close(added[:, :, 1:], added[:, :1, 1:2].expand(-1, regions, 5, -1))
    assert all(len(patterns) > 3 for patterns in reached.values())
    for part in ("local", "mlp"):
        assert any(len(set(pattern[:regions])) == 2 for pattern in reached[part]), "regions of a clip fare differently"
