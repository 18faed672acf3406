"""Arrays in NumPy's own files, read as inert data: nothing in them is executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file by name.

    Raises:
        MienError: it is not there, damaged, or holds anything but plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            return dict(content)
    except Exception as error:  # a damaged file makes zipfile, zlib, tokenize and NumPy raise what they please
        raise MienError(f"{path}: no NPZ file of plain arrays ({_why(error)})") from None


def read_steps(path: Path) -> NDArray[np.float32]:
    """Features ``(T, width)`` over time of an ``.npy`` file.

    Raises:
        MienError: it is not there, damaged, or holds no such numbers.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged file makes zipfile, zlib, tokenize and NumPy raise what they please
        raise MienError(f"{path}: no NPY file of one plain array ({_why(error)})") from None
    return as_steps(values, path)


def as_steps(values: np.ndarray, path: Path) -> NDArray[np.float32]:
    """Values of a file as features ``(T, width)``; refuses what is none."""
    if not isinstance(values, np.ndarray) or values.ndim != 2 or not values.size:
        shape = getattr(values, "shape", None)
        raise MienError(f"{path} holds an array of shape {shape}; features are numbers (steps, width)")
    if not np.issubdtype(values.dtype, np.number):
        raise MienError(f"{path} holds {values.dtype}; features are numbers (steps, width)")
    return np.asarray(values, dtype=np.float32)


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "allow_pickle" in str(error):
        return "it holds Python objects or is of another form"
    return (str(error).splitlines() or [type(error).__name__])[0]
