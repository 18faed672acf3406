"""The device that a user names."""

from __future__ import annotations

import torch

from mien.errors import UsageError


def device_named(name: str) -> torch.device:
    """A device by its name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...; ``auto`` is CUDA where there is one.

    Raises:
        UsageError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"device {name!r} is not there on this machine; use auto or cpu") from None
    return device
