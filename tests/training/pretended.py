"""A device without values: a step can be followed there without having one, and every wait for it shows.

Tensors of torch's fake mode know their type, shape and device, and mixing devices fails as it does on a GPU. Where the
processor asks for a value, or for a shape that depends on values, it would have to wait for all that it has asked the
device to do; ``Waits`` notes the place and answers with ones.
"""

from __future__ import annotations

import ctypes
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.accelerators import CPUAccelerator
from lightning.fabric.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.optim import optimizer
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from mien.nn import device
from mien.nn.device import forget_sent

aten: Any = torch.ops.aten
# the one device without values on which torch goes backward in every build
DEVICE = torch.device("meta")
CUDA = torch.device("cuda", 0)


class Waits(TorchDispatchMode):
    """Counts waits for ``device`` by ``file:function`` of mien, as ``places``; a coarse one has no float64."""

    def __init__(self, device: torch.device, coarse: bool = False) -> None:
        super().__init__()
        self.device, self.coarse = device, coarse
        self.places: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket in (aten.to, aten.item, aten.is_nonzero):  # come whole in inference mode
            with self:
                return func.decompose(*args, **kwargs)
        first = args[0] if args and isinstance(args[0], Tensor) else None
        there = first is not None and first.device == self.device
        if func is aten._local_scalar_dense.default and isinstance(first, Tensor):
            self._note(there)
            return True if first.dtype == torch.bool else 1.0 if first.is_floating_point() else 1
        if func is aten.nonzero.default and isinstance(first, Tensor):
            self._note(there)
            return first.new_zeros((first.numel(), first.ndim), dtype=torch.int64)
        if func in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default):
            args = (first, [whole for index in args[1] for whole in self._by_number(index)], *args[2:])
        if func is aten._to_copy.default and "device" in kwargs and not kwargs.get("non_blocking"):
            self._note(there != (torch.device(kwargs["device"]) == self.device))
        made = func(*args, **kwargs)
        if self.coarse:
            wide = [one for one in tree_leaves(made) if isinstance(one, Tensor) and one.dtype == torch.float64]
            assert not any(one.device == self.device for one in wide), f"{func} makes float64, which MPS has not"
        return made

    def _by_number(self, index: Tensor | None) -> list[Tensor | None]:
        """A mask chooses by numbers that the processor has to know."""
        if index is None or index.dtype != torch.bool:
            return [index]
        self._note(index.device == self.device)
        return [index.new_zeros(index.numel(), dtype=torch.int64) for _ in range(index.ndim)]

    def _note(self, waits: bool) -> None:
        if not waits:
            return
        stack = traceback.extract_stack()
        frames = [frame for frame in stack if "/src/mien/" in frame.filename and not frame.name.startswith("<")]
        place = f"{frames[-1].filename.rpartition('/src/mien/')[2]}:{frames[-1].name}" if frames else "elsewhere"
        self.places[place] += 1


@contextmanager
def pretended(patch: pytest.MonkeyPatch) -> Iterator[Waits]:
    """Inside, all tensors are fake, real ones of the processor excepted, and ``DEVICE`` does what a GPU does.

    Like Apple's it has no float64.
    """
    autocast, fused = torch.autocast, optimizer._get_fused_kernels_supported_devices
    patch.setattr(torch, "autocast", lambda kind, *a, **k: nullcontext() if kind == "meta" else autocast(kind, *a, **k))
    patch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: [*fused(), "meta"])
    patch.setattr(device, "COARSE", frozenset({*device.COARSE, DEVICE.type}))
    with _without_values(patch), Waits(DEVICE, coarse=True) as waits:
        yield waits


def _numpy(values: Tensor, plain: Any = Tensor.numpy) -> Any:
    """As arrays; those of tensors without values hold ones."""
    if not isinstance(values, FakeTensor):
        with _disable_current_modes():
            return plain(values)
    if values.device.type != "cpu" or values.requires_grad:
        raise TypeError(f"on {values.device}, requires_grad={values.requires_grad}: no array can be made of it")
    return np.ones(values.shape, str(values.dtype).removeprefix("torch."))


@contextmanager
def _without_values(patch: pytest.MonkeyPatch) -> Iterator[None]:
    generator = torch.Generator
    patch.setattr(torch, "Generator", lambda device="cpu": generator())  # a device without values has none
    patch.setattr(Tensor, "numpy", _numpy)
    forget_sent()
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield
    forget_sent()


@contextmanager
def pretended_cuda(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, ``CUDA`` is there without values, for forward passes and autocast alone.

    Builds of torch without CUDA are lent what they lack to let such tensors pass; backward they cannot go.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    kinds = torch._C._autograd.DeviceType
    try:
        guards = (ctypes.c_void_p * 21).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    except ValueError:
        pytest.skip("this build of torch does not tell where its device guards are")
    before = guards[kinds.CUDA.value]
    guards[kinds.CUDA.value] = before or guards[kinds.Meta.value]
    patch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    patch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    try:
        with _without_values(patch), Waits(CUDA):
            yield
    finally:
        guards[kinds.CUDA.value] = before


def moved(module: nn.Module, device: torch.device = DEVICE) -> nn.Module:
    """Parameters and buffers go to the device, and nothing else, as with ``nn.Module.to``, which fake ones refuse."""
    known: dict[int, Tensor] = {}
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is not None and id(tensor) not in known:
                    there = tensor.detach().to(device)
                    whole = nn.Parameter(there, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else there
                    known[id(tensor)] = whole
                if tensor is not None:
                    held[name] = known[id(tensor)]
    return module


class _Accelerator(CPUAccelerator):
    def setup_device(self, device: torch.device) -> None:
        assert device == DEVICE


class _Strategy(SingleDeviceStrategy):
    def module_to_device(self, module: nn.Module) -> None:
        """``moved`` has done it."""


def fabric() -> Fabric:
    """Lightning's, for one process on ``DEVICE``."""
    return Fabric(strategy=_Strategy(DEVICE, _Accelerator()))
