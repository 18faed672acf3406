"""Pickled modules: a published one is read without its classes; a crafted one is refused and nothing of it runs."""

from __future__ import annotations

import importlib
import io
import marshal
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mien.checkpoints.conversion import convert
from mien.checkpoints.convert.viper import ALLOWED, CONVERTER
from mien.checkpoints.modules import read_module
from mien.errors import MienError, UsageError

FIXTURE = Path(__file__).parent.parent / "parity" / "data" / "viper_tiny_pickled.model"


class Calls:
    """Pickles as a call: by the ordinary rules it would run when it is read."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


class Restores:
    """Pickles with a state that its class would act on."""

    def __setstate__(self, state: dict[str, str]) -> None:
        os.system(state["command"])

    def __getstate__(self) -> dict[str, str]:
        return {"command": f"touch {os.environ['MIEN_TEST_OWNED']}"}


def hidden(kind: str, owned: Path) -> object:
    """What each known form of attack puts among the attributes of a layer."""
    command, program = f"touch {owned}", f"open({str(owned)!r}, 'w').close()"
    inner = pickle.dumps(Calls(os.system, command))
    array = np.empty(1, dtype=object)
    array[0] = Calls(os.system, command)
    forms: dict[str, object] = {
        "os.system": Calls(os.system, command),
        "eval": Calls(eval, f"__import__('os').system({command!r})"),
        "exec": Calls(exec, program),
        "subprocess": Calls(subprocess.check_output, ["touch", str(owned)]),
        "importlib": Calls(importlib.import_module, "antigravity"),
        "nested torch.load": Calls(torch.load, Calls(io.BytesIO, inner)),
        "marshal": Calls(marshal.loads, marshal.dumps(compile(program, "x", "exec"))),
        "getattr": Calls(getattr, nn.Linear(1, 1), "forward"),
        "numpy objects": array,
        "setstate": Restores(),
    }
    return forms[kind]


FORMS = (
    "os.system", "eval", "exec", "subprocess", "importlib", "nested torch.load", "marshal", "getattr", "numpy objects",
    "setstate",
)  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("form", FORMS)
def test_files_that_ask_for_calls_are_refused_and_nothing_runs(
    form: str, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned, path = tmp_path / "owned", tmp_path / "perceiver_6.model"
    monkeypatch.setenv("MIEN_TEST_OWNED", str(owned))
    layer = nn.Linear(2, 2)
    layer.surprise = hidden(form, owned)
    torch.save(layer, path, _use_new_zipfile_serialization=not legacy)
    refused(path)
    assert not owned.exists()
    assert "antigravity" not in sys.modules


def refused(path: Path) -> str:
    with pytest.raises(MienError) as refusal:
        convert("viper", path, path.parent / "bundle")
    message = str(refusal.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    assert not (path.parent / "bundle").exists()
    return message


def rewritten(
    path: Path, name: Callable[[str], str] = str, pickled: bytes | None = None, compression: int = zipfile.ZIP_STORED
) -> Path:
    """The published fixture with other entry names, another pickle or another compression."""
    with zipfile.ZipFile(FIXTURE) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            content = pickled if pickled is not None and entry.endswith("data.pkl") else old.read(entry)
            new.writestr(zipfile.ZipInfo(name(entry)), content, compress_type=compression)
    return path


def test_archives_that_reach_outside_or_expand_are_refused(tmp_path: Path) -> None:
    absolute = rewritten(tmp_path / "a.model", lambda name: f"/{name}")
    assert "outside of itself" in refused(absolute)
    assert "outside of itself" in refused(rewritten(tmp_path / "b.model", lambda name: f"x/../../{name}"))
    assert "compressed" in refused(rewritten(tmp_path / "c.model", compression=zipfile.ZIP_DEFLATED))
    assert "TorchScript" in refused(rewritten(tmp_path / "d.model", lambda name: name.replace("version", "code/x.py")))


def test_a_rewritten_archive_is_read_when_it_is_honest(tmp_path: Path) -> None:
    assert len(CONVERTER.read(rewritten(tmp_path / "w.model"), None).state) == 72


@pytest.mark.parametrize("size", [(10**12,), (10**7,)])
def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path, size: tuple[int]) -> None:
    layer = nn.Linear(2, 2)
    layer.bias = nn.Parameter(torch.zeros(1).expand(size))
    torch.save(layer, tmp_path / "w.model")
    assert "more bytes than the file" in refused(tmp_path / "w.model")


def test_storages_that_claim_more_than_their_record_stay_inside_the_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(FIXTURE) as archive:
        content = archive.read("viper_tiny_pickled/data.pkl")
    claimed, size = b"K\x40tq", (2_000_000_000).to_bytes(4, "little")  # 64 numbers: the storage of the latents
    assert claimed in content
    path = rewritten(tmp_path / "w.model", pickled=content.replace(claimed, b"J" + size + b"tq", 1))
    latents = CONVERTER.read(path, None).state["embeddings.latents"]
    assert latents.untyped_storage().nbytes() <= path.stat().st_size


def test_other_objects_are_refused_by_name(tmp_path: Path) -> None:
    def check(content: object, match: str) -> None:
        torch.save(content, tmp_path / "w.model")
        assert match in refused(tmp_path / "w.model")

    check(nn.Sequential(nn.Linear(2, 2)), "torch.nn.modules.container.Sequential")
    check({"weight": torch.zeros(2)}, "holds a dict")
    check([1, 2], "holds a list")
    check(nn.ModuleList(), "no module with weights")


def test_another_network_of_allowed_layers_is_no_viper(tmp_path: Path) -> None:
    torch.save(nn.ModuleList([nn.Linear(2, 2)]), tmp_path / "w.model")
    with pytest.raises(MienError, match="is no ViPER checkpoint"):
        convert("viper", tmp_path / "w.model", tmp_path / "bundle")


def test_trees_that_are_no_modules_are_refused(tmp_path: Path) -> None:
    for change in ({"_modules": {"x": 3}}, {"_parameters": {"x": "text"}}, {"_modules": [1]}, {"_parameters": {3: 4}}):
        layer = nn.Linear(2, 2)
        layer.__dict__.update(change)
        torch.save(layer, tmp_path / "w.model")
        assert "is refused" in refused(tmp_path / "w.model")


@pytest.mark.parametrize("content", [b"", b"text\n", FIXTURE.read_bytes()[:30000]], ids=["empty", "text", "cut"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.model").write_bytes(content)
    refused(tmp_path / "w.model")


def test_the_published_form_needs_none_of_its_library() -> None:
    before = set(sys.modules)
    assert len(read_module(FIXTURE, ALLOWED)) == 72
    assert not any(name.startswith("transformers") for name in set(sys.modules) - before)


def test_a_class_that_is_not_named_is_refused(tmp_path: Path) -> None:
    fewer = [name for name in ALLOWED if not name.endswith("PerceiverMLP")]
    with pytest.raises(MienError, match=r"asks for transformers\.models\.perceiver\.modeling_perceiver\.PerceiverMLP"):
        read_module(FIXTURE, fewer)


def test_usage(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="is not a file"):
        CONVERTER.read(tmp_path / "none.model", None)
    with pytest.raises(UsageError, match="without entries"):
        CONVERTER.read(FIXTURE, "ema")
