from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mien.faces.integral import IntegralImages

PICTURES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 61, 83, 3), dtype=np.uint8))


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.permute(0, 3, 1, 2).double() - 127.5) / 128


@given(height=st.integers(1, 100), width=st.integers(1, 100))
@settings(max_examples=30)
def test_level_is_area_interpolation(height: int, width: int) -> None:
    expected = functional.adaptive_avg_pool2d(scaled(PICTURES), (height, width))
    torch.testing.assert_close(IntegralImages(PICTURES).level(height, width).double(), expected, atol=1e-6, rtol=0)


@given(left=st.integers(-60, 80), top=st.integers(-60, 58), side=st.integers(1, 130), out=st.sampled_from([24, 48]))
@settings(max_examples=60)
def test_window_is_area_interpolation_of_the_padded_picture(left: int, top: int, side: int, out: int) -> None:
    padded = functional.pad(scaled(PICTURES[1:]), (200, 200, 200, 200))
    cut = padded[:, :, 200 + top : 200 + top + side, 200 + left : 200 + left + side]
    box = np.array([[left, top, left + side, top + side]]) + 0.3
    window = IntegralImages(PICTURES).windows(np.ones(1), box, out)
    torch.testing.assert_close(window.double(), functional.adaptive_avg_pool2d(cut, out), atol=1e-6, rtol=0)
