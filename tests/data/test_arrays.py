"""Files of arrays: what is no such file is refused in one line, and nothing in it is executed."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mien.data.arrays import read_arrays, read_steps
from mien.errors import MienError


class Trap:
    """Unpickled, it would write a file."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("sprung"),)


def damaged(kind: str, whole: bytes) -> bytes:
    middle = len(whole) // 2
    return {
        "empty": b"",
        "cut short": whole[:middle],
        "bent": whole[:60] + bytes(byte ^ 255 for byte in whole[60:-120]) + whole[-120:],
        "text": b"id,prediction\n",
        "objects": pickle.dumps(Trap()),
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "cut short", "bent", "text", "objects"])
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str) -> None:
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(50, 3))
    file = tmp_path / f"values{suffix}"
    with file.open("wb") as out:
        np.savez_compressed(out, values=values) if suffix == ".npz" else np.save(out, values)
    read = read_arrays if suffix == ".npz" else read_steps
    assert len(read(file))
    file.write_bytes(damaged(kind, file.read_bytes()))
    with pytest.raises(MienError, match=r"values\.np.: no NP. file") as caught:
        read(file)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 3)), np.array([["a", "b"]])])
def test_features_are_numbers_by_step(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "values.npy", values)
    with pytest.raises(MienError, match=r"features are numbers \(steps, width\)"):
        read_steps(tmp_path / "values.npy")
