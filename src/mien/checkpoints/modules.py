"""Read the weights of a pickled module object. Its classes are never imported and nothing of it is ever run."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from mien.checkpoints.reading import Inert, load_inert
from mien.errors import MienError

DEPTH = 64  # modules inside modules; published ones have 7


def read_module(path: Path | str, allowed: Iterable[str]) -> dict[str, Tensor]:
    """Parameters and buffers of a module that was saved whole (``torch.save(module)``), by their dotted names.

    The file is opened by torch's weights-only unpickler, which calls nothing but the builders of tensors. Every class
    that the file names must match ``allowed`` and is replaced by an empty stand-in; the tree of ``_modules``,
    ``_parameters`` and ``_buffers`` is then walked for names. Tensors are mapped from the file, not copied.

    Args:
        path: the file, in torch's zip format.
        allowed: dotted names of classes that may appear, as shell patterns.

    Raises:
        MienError: the file is damaged, no zip of torch, names anything else, or claims tensors larger than itself.
    """
    path = Path(path)
    if not path.is_file():
        raise MienError(f"{path} is not a file; give a checkpoint")
    _check_archive(path)
    tree = load_inert(path, _asked(path, tuple(allowed)), mmap=True)
    if not isinstance(tree, Inert):
        raise MienError(f"{path} holds a {type(tree).__name__}, not a module; give the checkpoint as it was published")
    state = dict(_tensors(tree, "", path, 0))
    if not state:
        raise MienError(f"{path} is refused: the object in it is no module with weights")
    _check_sizes(path, state)
    return state


def _check_archive(path: Path) -> None:
    """Refuse archives that torch would not have written: compressed, with odd names, or with code in them."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise MienError(
            f"{path} is refused: it is no archive as torch writes it ({error}); it is damaged or of another kind"
        ) from error
    for entry in entries:
        place = PurePosixPath(entry.filename)
        if place.is_absolute() or ".." in place.parts or "\\" in entry.filename or ":" in entry.filename:
            raise MienError(f"{path} is refused: it holds an entry called {entry.filename[:80]!r}, outside of itself")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1:
            raise MienError(f"{path} is refused: {entry.filename[:80]} is compressed, which torch never does")
        if "code" in place.parts or place.name == "constants.pkl":
            raise MienError(f"{path} is refused: it is a TorchScript program, not a file of weights")


def _asked(path: Path, allowed: tuple[str, ...]) -> list[str]:
    """Names that the file asks for and that are allowed; the others are left for the unpickler to refuse."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception as error:  # a crafted or damaged file may raise anything at all
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise MienError(f"{path} is refused: its list of contents cannot be read ({reason})") from error
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in allowed)]


def _tensors(module: Inert, prefix: str, path: Path, depth: int) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(module.state, Mapping) or depth > DEPTH:
        raise MienError(f"{path} is refused: {prefix.rstrip('.') or 'the object in it'} is no module")
    for group in ("_parameters", "_buffers"):
        for name, value in _group(module, group, prefix, path):
            if not isinstance(value, Tensor) or value.layout != torch.strided:
                raise MienError(f"{path} is refused: {prefix}{name} is no dense tensor")
            yield f"{prefix}{name}", value
    for name, child in _group(module, "_modules", prefix, path):
        if not isinstance(child, Inert):
            raise MienError(f"{path} is refused: {prefix}{name} is a {type(child).__name__}, not a module")
        yield from _tensors(child, f"{prefix}{name}.", path, depth + 1)


def _group(module: Inert, group: str, prefix: str, path: Path) -> list[tuple[str, Any]]:
    entries = module.state.get(group) or {}
    if not isinstance(entries, Mapping) or not all(isinstance(name, str) for name in entries):
        raise MienError(f"{path} is refused: {group} of {prefix.rstrip('.') or 'the module'} holds no names")
    return [(name, value) for name, value in entries.items() if value is not None]


def _check_sizes(path: Path, state: Mapping[str, Tensor]) -> None:
    """A tensor may repeat elements of its storage (stride 0) and so claim more memory than the file ever held."""
    size = path.stat().st_size
    total = 0
    for name, tensor in state.items():
        total += tensor.numel() * tensor.element_size()
        if total > size:
            raise MienError(f"{path} is refused: {name} claims more bytes than the file of {size} holds")
