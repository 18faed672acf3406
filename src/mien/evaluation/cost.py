"""What a computation costs: parameters, multiplications, time, memory, and energy where the machine tells."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Cost:
    """What was spent between two moments.

    Attributes:
        seconds: by the wall clock.
        peak_memory: bytes at most: on a CUDA device what torch held there in between, else what this process has held
            since it began.
        energy: joules of all processors (RAPL) and NVIDIA devices of this machine together, whoever used them; None
            where neither can be read.
        device: in words.
    """

    seconds: float
    peak_memory: int
    energy: float | None
    device: str


class CostMeter:
    """Begins to count when made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begun = time.perf_counter()
        self._energy = read_energy()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> Cost:
        """What was spent until now."""
        now = read_energy()
        spent = {name: _since(value, *now[name]) for name, (value, _) in self._energy.items() if name in now}
        return Cost(
            seconds=round(time.perf_counter() - self._begun, 3),
            peak_memory=_peak(self._device),
            energy=round(sum(spent.values()), 1) if spent else None,
            device=_named(self._device),
        )


def count_parameters(model: nn.Module) -> int:
    """Number of parameters, each counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, inputs: Mapping[str, Tensor]) -> int | None:
    """Multiplications with addition in one forward pass (products of matrices, convolutions and attention only).

    None where torch cannot count them.
    """
    counter = FlopCounterMode(display=False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.requires_grad_(
        False
    )  # the counter wants the gradient's way of all that has one, and views made here have none
    try:
        with torch.no_grad(), counter:
            model(inputs)
    except (RuntimeError, NotImplementedError):
        return None
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
    return int(counter.get_total_flops()) // 2 or None


def one_view(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first clip of a batch."""
    return {name: value[:1] for name, value in inputs.items()}


def read_energy() -> dict[str, tuple[float, float]]:
    """Joules counted so far and the value at which the counter starts anew, by name of the counter."""
    return {**_processors(), **_devices()}


def _processors() -> dict[str, tuple[float, float]]:
    found = {}
    for folder in sorted(RAPL.glob("intel-rapl:[0-9]*")):
        if folder.name.count(":") != 1:  # parts of a package are counted in it
            continue
        try:
            joules, top = (int((folder / name).read_text()) / 1e6 for name in ("energy_uj", "max_energy_range_uj"))
        except (OSError, ValueError):
            continue
        found[folder.name] = (joules, top)
    return found


def _devices() -> dict[str, tuple[float, float]]:
    if not torch.cuda.is_available() or find_spec("pynvml") is None:
        return {}
    nvml = import_module("pynvml")
    found = {}
    try:
        nvml.nvmlInit()
        for number in range(nvml.nvmlDeviceGetCount()):
            device = nvml.nvmlDeviceGetHandleByIndex(number)
            found[f"cuda:{number}"] = (nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1e3, float("inf"))
    except nvml.NVMLError:
        return {}
    return found


def _since(before: float, now: float, top: float) -> float:
    return now - before if now >= before else now + top - before


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _named(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    return f"processor, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
