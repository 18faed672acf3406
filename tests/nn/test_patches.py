"""Tubelets: lossless both ways, and the embedding equals the convolution that it stands for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import MienError
from mien.nn import TubeletEmbedding, from_patches, grid_of, take_tokens, to_patches

SIDES = st.integers(1, 3)


@settings(max_examples=30)
@given(grid=st.tuples(SIDES, SIDES, SIDES), tubelet=st.tuples(SIDES, SIDES, SIDES), channels=st.sampled_from([1, 3]))
def test_cutting_and_joining_loses_nothing(
    grid: tuple[int, int, int], tubelet: tuple[int, int, int], channels: int
) -> None:
    size = [cells * side for cells, side in zip(grid, tubelet, strict=True)]
    video = torch.arange(2 * channels * size[0] * size[1] * size[2]).reshape(2, channels, *size)
    patches = to_patches(video, tubelet)
    assert patches.shape == (2, grid[0] * grid[1] * grid[2], channels, *tubelet)
    assert grid_of(video, tubelet) == grid
    assert torch.equal(from_patches(patches, grid), video)


def test_tokens_are_in_raster_order() -> None:
    video = torch.arange(2 * 2 * 3).reshape(1, 1, 2, 2, 3)
    assert to_patches(video, (1, 1, 1)).flatten().tolist() == list(range(12))
    second = to_patches(torch.arange(16).reshape(1, 1, 1, 4, 4), (1, 2, 2))[0, 1].flatten()
    assert second.tolist() == [2, 3, 6, 7]


def test_embedding_is_the_convolution() -> None:
    embedding = TubeletEmbedding(3, 8, (2, 4, 4))
    video = torch.randn(2, 3, 4, 8, 12)
    expected = F.conv3d(video, embedding.weight, embedding.bias, stride=(2, 4, 4)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embedding(video), expected, rtol=1e-5, atol=1e-5)


def test_embedding_of_some_tokens_is_some_of_the_embedding() -> None:
    embedding = TubeletEmbedding(1, 8, (1, 4, 4))
    video = torch.randn(2, 1, 3, 8, 8)
    keep = torch.tensor([[0, 5, 11], [2, 3, 4]])
    torch.testing.assert_close(embedding(video, keep), take_tokens(embedding(video), keep))


def test_taking_from_a_shared_table() -> None:
    table = torch.arange(10.0).reshape(1, 5, 2)
    taken = take_tokens(table, torch.tensor([[4, 0], [1, 1]]))
    assert taken.tolist() == [[[8.0, 9.0], [0.0, 1.0]], [[2.0, 3.0], [2.0, 3.0]]]


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 3, 3, 8, 8), "3 frames .* multiple of 2"), ((1, 3, 2, 8, 6), "6 columns .* multiple of 4")],
)
def test_sizes_that_do_not_fit_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(MienError, match=message):
        to_patches(torch.zeros(shape), (2, 4, 4))
