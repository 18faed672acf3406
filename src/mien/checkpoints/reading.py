"""Read weights from files that may come from anybody. Nothing that a file asks for is ever run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mien.errors import MienError, UsageError

# What published checkpoints hold beside tensors and plain values. Each is read as an ``Inert`` stand-in.
INERT_TYPES: tuple[str, ...] = (
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
)

# Entries under which training programs keep the weights, in the order in which they are tried.
WRAPPERS: tuple[str, ...] = ("model", "module", "netG", "state_dict", "model_state_dict", "student")


class Inert:
    """Stands for an object of a foreign file: keeps its arguments and state, does nothing."""

    def __new__(cls, *args: Any) -> Inert:
        inert = super().__new__(cls)
        inert.arguments = args
        inert.state = None
        return inert

    arguments: tuple[Any, ...]
    state: Any

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


@dataclass(frozen=True)
class Foreign:
    """Weights of a foreign file.

    Attributes:
        state: tensors by the names that the file gives them, wrappers and a common ``module.`` removed.
        options: plain options of the training run (``args``), empty where the file has none.
    """

    state: dict[str, Tensor]
    options: dict[str, Any]


def read_foreign(path: Path | str, entry: str | None = None) -> Foreign:
    """Weights of a ``.safetensors`` file or of a PyTorch file (``.pth``, ``.pt``, ``.bin``, ...).

    Args:
        path: the file.
        entry: which entry of a training checkpoint to take; None is the first of ``WRAPPERS`` that is there.

    Raises:
        UsageError: there is no such file, or it has no such entry.
        MienError: it is damaged, holds anything but inert data, or no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path} is not a file; give a checkpoint")
    tree: Any = _read_safetensors(path) if path.suffix == ".safetensors" else read_pickled(path)
    state = {name: value for name, value in _unwrap(tree, entry, path).items() if isinstance(value, Tensor)}
    if not state:
        raise MienError(f"{path} holds no tensors; give a file with a model's state dict")
    return Foreign(_without_prefix(state, "module."), _options(tree))


def read_pickled(path: Path | str, inert: Iterable[str] = ()) -> Any:
    """The tree of values that a PyTorch file holds; allowed types beside plain ones become ``Inert``.

    Args:
        path: the file.
        inert: dotted names of further types that may appear; they are not imported either.
    """
    return load_inert(Path(path), (*INERT_TYPES, *inert))


def load_inert(path: Path, names: Sequence[str], mmap: bool = False) -> Any:
    """What a PyTorch file holds, with ``names`` and nothing else read as ``Inert``; ``mmap`` leaves tensors on disk."""
    try:
        with torch.serialization.safe_globals([(Inert, name) for name in names]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on old or odd pickle protocols; what matters is raised
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a crafted or damaged file may raise anything at all
        raise MienError(_refusal(path, error)) from error


def _refusal(path: Path, error: Exception) -> str:
    asked = re.search(r"GLOBAL (\S+)", str(error))
    if asked:
        return (
            f"{path} is refused: it asks for {asked[1].rstrip('.')}, and only tensors and plain values are read; "
            "save its state dict alone and try again"
        )
    if "Weights only load failed" in str(error):
        return f"{path} is refused: it is no plain file of weights; save the model's state dict alone and try again"
    reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return f"{path} cannot be read as a PyTorch file ({reason}); it is damaged or of another kind"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise MienError(f"{path} cannot be read as safetensors ({error}); it is damaged or of another kind") from error


def _unwrap(tree: Any, entry: str | None, path: Path) -> Mapping[str, Any]:
    if not isinstance(tree, Mapping):
        raise MienError(f"{path} holds a {type(tree).__name__}, not named tensors; save the model's state dict")
    if entry is not None:
        if not isinstance(tree.get(entry), Mapping):
            raise UsageError(f"{path} has no weights under {entry!r}; it has {', '.join(map(str, tree))}")
        return _named(tree[entry])
    for wrapper in WRAPPERS:
        if isinstance(tree.get(wrapper), Mapping):
            return _named(tree[wrapper])
    return _named(tree)


def _named(tree: Mapping[Any, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in tree.items() if isinstance(name, str)}


def _without_prefix(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Remove a prefix that every name has (distributed training adds ``module.``)."""
    if all(name.startswith(prefix) for name in state):
        return {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _options(tree: Any) -> dict[str, Any]:
    args = tree.get("args") if isinstance(tree, Mapping) else None
    values = args.state if isinstance(args, Inert) else args
    if not isinstance(values, Mapping):
        return {}
    return {str(name): value for name, value in values.items() if isinstance(value, bool | int | float | str | list)}
