from __future__ import annotations

import pytest
import torch

from mien.faces.networks import HalvingPool


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("size", [(1, 3, 12, 12), (2, 5, 3, 3), (1, 4, 46, 45), (3, 1, 4, 11), (1, 2, 5, 22)])
def test_pool_equals_the_stock_layer(kernel: int, size: tuple[int, ...]) -> None:
    x = torch.randn(size, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.max_pool2d(x, kernel, 2, ceil_mode=True)
    torch.testing.assert_close(HalvingPool(kernel)(x), expected, atol=0, rtol=0)
