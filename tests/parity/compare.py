"""Compare tensors with the fingerprints that the reference runs left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

FORWARD = 1e-5  # outputs, losses
BACKWARD = 1e-3  # gradients of training steps


def assert_summary(
    actual: Tensor, expected: Mapping[str, Any], tolerance: float, what: str, floor: float = 0.0
) -> None:
    """Shape, moments and sampled values agree; ``tolerance`` is relative, near zero relative to the tensor's spread.

    ``floor`` is what counts as nothing for tensors that are zero but for rounding.
    """
    assert list(actual.shape) == list(expected["shape"]), what
    flat = actual.detach().double().flatten().numpy()
    floor = max(floor, tolerance * max(abs(expected["std"]), np.abs(expected["values"]).max()))
    close(flat[expected["index"]], expected["values"], tolerance, floor, what)
    close(flat.mean(), expected["mean"], tolerance, floor, f"mean of {what}")
    close(flat.std(), expected["std"], tolerance, floor, f"spread of {what}")


def close(actual: Any, expected: Any, tolerance: float, floor: float, what: str) -> None:
    """``|actual - expected| <= tolerance·|expected| + floor`` everywhere."""
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=floor, err_msg=what)
