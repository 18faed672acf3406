"""The files of a bundle: read with one clear line where something is wrong, written all or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from mien.errors import MienError, UsageError
from mien.files import check_writable, complete
from mien.lock import alone
from mien.models.specification import Specification

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


def find_bundle(folder: Path) -> Path:
    """The bundle that a folder is, or that a run keeps under ``bundle``.

    Raises:
        UsageError: there is none: no folder, a file, another folder, or a run that is not finished.
        MienError: it lacks one of its files.
    """
    if not folder.exists():
        raise UsageError(f"{folder} does not exist; give a bundle folder, a finished run, or a hub id like owner/name")
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a bundle folder; published checkpoints go through `mien convert`")
    if not (folder / CONFIG).is_file() and (folder / "bundle" / CONFIG).is_file():
        folder = folder / "bundle"
    elif (folder / "recipe.yaml").is_file() and not (folder / "metrics.json").is_file():
        raise UsageError(f"{folder} is a run that is not finished, it holds no bundle yet; go on with --resume")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if len(missing) == 2:
        raise UsageError(f"{folder} is no bundle: it holds no {CONFIG} and no {WEIGHTS}; give the folder that does")
    if missing:
        raise MienError(f"{folder} is no complete bundle: {missing[0]} is missing; save, convert or pull it again")
    return folder


def read_specification(folder: Path) -> Specification:
    """``config.json`` of a bundle."""
    path = folder / CONFIG
    try:
        return Specification.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise MienError(f"{path} is no Specification: {place}: {first['msg'].lower()}") from error
    except OSError as error:
        raise MienError(f"{path} cannot be read: {error.strerror}") from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """``model.safetensors`` of a bundle, on the CPU."""
    path = folder / WEIGHTS
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise MienError(f"{path} is damaged ({error}); save, convert or pull the bundle again") from error


def config_digest_matches(folder: Path) -> bool | None:
    """Whether the weights were saved with this ``config.json``; None where the weights do not say."""
    with safe_open(folder / WEIGHTS, framework="pt") as weights:
        noted = (weights.metadata() or {}).get("config_sha256")
    return None if noted is None else noted == _digest((folder / CONFIG).read_bytes())


def hold_bundle(folder: Path) -> AbstractContextManager[None]:
    """Be the only one to rewrite a bundle. That of a run is held with the run, another by a file beside it."""
    if (folder.parent / "recipe.yaml").is_file():
        return alone(folder.parent)
    return alone(folder.parent, f".{folder.name}.lock")


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that a bundle cannot be written to.

    Raises:
        UsageError: it holds other things.
        MienError: nothing can be written there.
    """
    if folder.exists() and not (folder.is_dir() and _is_replaceable(folder)):
        raise UsageError(f"{folder} holds other things than a bundle; choose a new folder")
    check_writable(folder.parent)


def write_bundle(folder: Path, specification: Specification, state: Mapping[str, Tensor], card: str) -> None:
    """Write all files beside ``folder``, then put them in its place; a failure leaves what was there."""
    check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        part.chmod(0o755)
        config = (specification.model_dump_json(indent=2) + "\n").encode()
        (part / CONFIG).write_bytes(config)
        (part / CARD).write_text(card, encoding="utf-8")
        write_weights(part / WEIGHTS, state, {"config_sha256": _digest(config)})
        _put_in_place(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Tensors as safetensors, under the final name only when complete. Tensors that share memory are written apart.

    Equal tensors and metadata give equal bytes as long as ``metadata`` is a single entry: safetensors writes several in
    an order that changes from one time to the next, and results name weights by the digest of their file.
    """
    seen: set[int] = set()
    tensors = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    with complete(path) as part:
        save_file(tensors, part, dict(metadata or {"format": "pt"}))


def _is_replaceable(folder: Path) -> bool:
    return all(entry.name in {CONFIG, WEIGHTS, CARD} for entry in folder.iterdir())


def _put_in_place(part: Path, folder: Path) -> None:
    if not folder.exists():
        os.replace(part, folder)
        return
    old = part.with_suffix(".old")
    os.replace(folder, old)
    os.replace(part, folder)
    shutil.rmtree(old)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
