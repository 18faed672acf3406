"""Tensors on their way to a device: what it can hold, and what is sent there only once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T", Tensor, tuple[Tensor, ...])

COARSE = frozenset({"mps"})  # kinds of devices without float64


def finest(device: torch.device) -> torch.dtype:
    """The most exact type that a device computes with."""
    return torch.float32 if device.type in COARSE else torch.float64


def exactly(values: Tensor) -> Tensor:
    """``values`` in float64: on the processor where their device has none."""
    return values.double() if finest(values.device) == torch.float64 else values.cpu().double()


def send(values: Tensor, device: torch.device) -> Tensor:
    """``values`` on ``device``, in a type that it has, without waiting for what goes on there."""
    if values.dtype == torch.float64:
        values = values.to(finest(device))
    # Apple's devices read the processor's memory itself, which may be used again by then
    return values.to(device, non_blocking=device.type != "mps")


def sent_once(make: Callable[..., T]) -> Callable[..., T]:
    """A function that makes constants of hashable arguments, as one of a device and these: each is sent there once.

    Sending anew at every step would make the processor wait for all that goes on there.
    """

    def sent(device: torch.device, *key: Hashable) -> T:
        found: T = _sent(make, device, key)
        return found

    return sent


@lru_cache(maxsize=64)
def _sent(make: Callable[..., Any], device: torch.device, key: tuple[Hashable, ...]) -> Any:
    with torch.inference_mode(False):  # else nothing that is trained later could use them
        made = make(*key)
        return send(made, device) if isinstance(made, Tensor) else tuple(send(one, device) for one in made)


def forget_sent() -> None:
    """Drop all that was sent so far."""
    _sent.cache_clear()
