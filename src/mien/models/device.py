"""The device that a user names, and models on it."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from mien.errors import UsageError
from mien.memory import out_of_memory, smaller, within_memory

M = TypeVar("M", bound=nn.Module)


def device_named(name: str) -> torch.device:
    """A device by its name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...; ``auto`` is CUDA where there is one.

    Raises:
        UsageError: it is not there.
        OutOfMemory: others have filled it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        full = out_of_memory(error, f"on {name} before anything was put there", smaller(device=name))
        raise full or UsageError(f"device {name!r} is not there on this machine; use auto or cpu") from None
    return device


def placed(module: M, name: str) -> M:
    """A module on the device of that name, in eval mode; raises as ``device_named``."""
    device = device_named(name)
    with within_memory(f"with the weights of the model alone on {device}", smaller(device=device.type)):
        return module.eval().to(device)
