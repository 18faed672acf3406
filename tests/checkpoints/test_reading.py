"""Foreign files: everything inert is read, everything else is refused in one line and never run."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mien.checkpoints.reading import Inert, read_foreign, read_pickled
from mien.errors import MienError, UsageError

STATE = {"layer.weight": torch.arange(4.0), "layer.bias": torch.zeros(1)}


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("wrapper", [None, "model", "module", "state_dict", "model_state_dict"])
def test_weights_are_found_under_usual_wrappers(tmp_path: Path, wrapper: str | None) -> None:
    content = STATE if wrapper is None else {"epoch": 7, wrapper: STATE, "optimizer": {"state": {}}}
    foreign = read_foreign(written(tmp_path / "w.pth", content))
    assert foreign.state.keys() == STATE.keys()
    assert torch.equal(foreign.state["layer.weight"], STATE["layer.weight"])


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert read_foreign(tmp_path / "w.safetensors").state.keys() == STATE.keys()


def test_a_prefix_that_all_names_share_is_removed(tmp_path: Path) -> None:
    wrapped = {f"module.{name}": value for name, value in STATE.items()}
    assert read_foreign(written(tmp_path / "w.pth", wrapped)).state.keys() == STATE.keys()
    mixed = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert read_foreign(written(tmp_path / "m.pth", mixed)).state.keys() == mixed.keys()


def test_training_options_are_read_without_their_class(tmp_path: Path) -> None:
    options = argparse.Namespace(input_size=160, model="vit", device=torch.device("cpu"), out=Path("x"))
    content = {"model": STATE, "args": options, "best": np.float64(3.0), "rng": np.arange(3)}
    path = written(tmp_path / "w.pth", content)
    assert read_foreign(path).options == {"input_size": 160, "model": "vit"}
    tree = read_pickled(path)
    assert isinstance(tree["args"], Inert)
    assert isinstance(tree["best"], Inert)


def test_an_entry_can_be_chosen(tmp_path: Path) -> None:
    path = written(tmp_path / "w.pth", {"model": STATE, "model_ema": {"layer.weight": torch.ones(4)}})
    assert read_foreign(path, "model_ema").state["layer.weight"].tolist() == [1.0] * 4
    with pytest.raises(UsageError, match=r"no weights under 'teacher'; it has model, model_ema"):
        read_foreign(path, "teacher")


class Trap:
    """Unpickled by the ordinary rules it would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_crafted_file_is_refused_and_runs_nothing(tmp_path: Path, legacy: bool) -> None:
    target = tmp_path / "owned"
    path = tmp_path / "w.pth"
    torch.save({"model": STATE, "args": Trap(target)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(MienError, match=r"refused: it asks for (posix|os|nt)\.system") as refusal:
        read_foreign(path)
    assert "\n" not in str(refusal.value)
    assert not target.exists()


def test_allowed_names_are_stand_ins_even_in_a_crafted_file(tmp_path: Path) -> None:
    class Reach:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return getattr, (argparse.Namespace, "__init__")

    with pytest.raises(MienError, match=r"refused: it asks for getattr|builtins\.getattr"):
        read_foreign(written(tmp_path / "w.pth", {"args": Reach(), "model": STATE}))


def test_a_pickled_module_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "w.pth", nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(MienError, match=r"asks for torch\.nn\.modules\.container\.Sequential"):
        read_foreign(path)


def test_further_types_can_be_named_as_inert(tmp_path: Path) -> None:
    path = written(tmp_path / "w.pth", nn.Linear(2, 2))
    tree = read_pickled(path, inert=["torch.nn.modules.linear.Linear"])
    assert isinstance(tree, Inert)
    assert tree.state["_parameters"]["weight"].shape == (2, 2)


def damaged(kind: str, path: Path) -> Path:
    good = path.with_name("good.pth")
    torch.save(STATE, good)
    content = good.read_bytes()
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
        return path
    contents = {
        "empty": b"",
        "text": b"not a checkpoint\n",
        "truncated": content[: len(content) // 2],
        "flipped": content[:80] + bytes(255 - byte for byte in content[80:140]) + content[140:],
        "pickle": pickle.dumps([1, 2, 3]),
        "list": None,
    }
    if kind == "list":
        torch.save([1, 2, 3], path)
    else:
        path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "flipped", "pickle", "list", "zip"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_files_give_one_line_that_names_them(tmp_path: Path, kind: str, suffix: str) -> None:
    path = damaged(kind, tmp_path / f"w{suffix}")
    with pytest.raises(MienError) as refusal:
        read_foreign(path)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


def test_missing_files_and_files_without_tensors(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="is not a file"):
        read_foreign(tmp_path / "none.pth")
    with pytest.raises(MienError, match="holds no tensors"):
        read_foreign(written(tmp_path / "w.pth", {"epoch": 3}))
