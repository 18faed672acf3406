"""Checkpoints of training: one safetensors file that appears under its name only when it is complete.

Tensors are named ``model/<name>``, ``average/<name>`` and ``optimiser/<parameter>/<quantity>``; counters are JSON in
the file's header. Nothing is pickled, so reading a checkpoint never runs what it holds.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mien.errors import MienError
from mien.files import complete

FORMAT = "mien training state 1"


@dataclass
class State:
    """All that a run needs to go on.

    Attributes:
        step: optimiser steps done. With the seed it fixes every later batch and draw.
        clips: clips trained on so far.
        seconds: spent training, over all sessions.
        loss: mean training loss over the last logging interval.
        validated, values: step and metrics of the last validation.
        best: ``step`` and ``values`` of the best validation so far; empty before the first.
        trouble: what was wrong with the pretext at the last log, and how many logs in a row; empty where nothing was.
        unreadable: reason by id of every clip that could not be read.
        precision: ``fp32`` or ``bf16``, as chosen when the run began.
    """

    step: int = 0
    clips: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    validated: int = 0
    values: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    trouble: dict[str, Any] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    precision: str = "fp32"


def write_state(
    path: Path,
    state: State,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Mapping[str, Tensor] | None,
) -> None:
    """Write everything; the file at ``path`` is replaced only once the new one is on the disk."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average/{name}": tensor for name, tensor in (average or {}).items()}
    for name, parameter in _named(optimiser):
        for quantity, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser/{name}/{quantity}"] = value
    write_tensors(path, tensors, {"format": FORMAT, "state": json.dumps(vars(state))})


def read_state(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[State, dict[str, Tensor]]:
    """Restore model and optimiser in place; returns the counters and the averaged weights (empty where none).

    Raises:
        MienError: the file is damaged, or was written by a run of another model.
    """
    tensors, header = read_tensors(path)
    state = _counters(path, header)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimiser": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = tensor
    try:
        model.load_state_dict(parts["model"])
    except RuntimeError:
        raise MienError(f"{path} holds the weights of another model; the run's recipe must not change") from None
    for name, parameter in _named(optimiser):
        restored = {}
        for key in [key for key in parts["optimiser"] if key.rpartition("/")[0] == name]:
            # AdamW's step counter too: the fused kernels read all that belongs to a parameter where it lies
            restored[key.rpartition("/")[2]] = parts["optimiser"][key].to(parameter.device)
        if restored:
            optimiser.state[parameter] = restored
    return state, parts["average"]


def peek_state(path: Path) -> State:
    """The counters alone."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise MienError(f"checkpoint {path} cannot be read: {error}") from None
    return _counters(path, header)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Safetensors under ``path``, whole or not at all, also when the machine loses power."""
    with complete(path) as part:
        try:
            save_file(_apart(tensors), part, dict(header))
        except SafetensorError as error:  # a full disk, for example
            raise OSError(str(error)) from error
        _to_disk(part)
    _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    """Have the system write out a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors on the CPU and header of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MienError(f"checkpoint {path} cannot be read: {error}") from None


def _counters(path: Path, header: Mapping[str, str]) -> State:
    if header.get("format") != FORMAT:
        raise MienError(f"{path} is not a training checkpoint of mien; --resume needs the folder of a run")
    return State(**json.loads(header["state"]))


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, contiguous, and none sharing memory with another (safetensors refuses tied weights)."""
    result: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        whole = tensor.detach().to("cpu").contiguous()
        place = whole.untyped_storage().data_ptr()
        result[name] = whole.clone() if place in seen else whole
        seen.add(place)
    return result


def _named(optimiser: torch.optim.Optimizer) -> list[tuple[str, Tensor]]:
    """Parameters with the names that ``parameter_groups`` gave them."""
    pairs: list[tuple[str, Tensor]] = []
    for group in optimiser.param_groups:
        pairs += zip(group["names"], group["params"], strict=True)
    return pairs
