"""Checkpoints: everything comes back as it was, and a file is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mien.errors import MienError
from mien.training import state as room
from mien.training.optim import parameter_groups
from mien.training.state import State, peek_state, read_state, write_state, write_tensors


def trained(steps: int = 3) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimiser = torch.optim.AdamW(parameter_groups(model, 0.1), lr=0.1)
    for _ in range(steps):
        model(torch.randn(8, 3)).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    return model, optimiser


def test_everything_comes_back(tmp_path: Path) -> None:
    model, optimiser = trained()
    state = State(step=3, clips=24, seconds=1.5, best={"step": 2, "values": {"uar": 1 / 3}}, unreadable={"x": "why"})
    write_state(tmp_path / "last", state, model, optimiser, {"n_averaged": torch.tensor(3)})
    other, fresh = trained(steps=0)
    restored, average = read_state(tmp_path / "last", other, fresh)
    assert vars(restored) | {"loss": 0} == vars(state) | {"loss": 0}
    assert peek_state(tmp_path / "last").best == state.best
    assert int(average["n_averaged"]) == 3
    for module, adam in ((model, optimiser), (other, fresh)):
        torch.manual_seed(1)
        module(torch.randn(8, 3)).square().mean().backward()
        adam.step()
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_all_that_belongs_to_a_parameter_comes_back_where_it_lies(tmp_path: Path) -> None:
    """Fused kernels of a GPU read AdamW's step counter there; from the processor's memory they cannot."""
    model, optimiser = trained()
    write_state(tmp_path / "last", State(), model, optimiser, None)
    there = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to("meta")
    other = torch.optim.AdamW(parameter_groups(there, 0.1))
    read_state(tmp_path / "last", there, other)
    devices = {name: value.device.type for state in other.state.values() for name, value in state.items()}
    assert devices == {"step": "meta", "exp_avg": "meta", "exp_avg_sq": "meta"}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last"
    write_tensors(path, {"a": torch.ones(2)}, {})
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        tmp_path.joinpath("last.part").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "save_file", full)
    with pytest.raises(MienError, match=r"last: cannot be written \(No space left on device\)"):
        write_tensors(path, {"a": torch.zeros(2)}, {})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last"]


def test_tied_weights_are_written(tmp_path: Path) -> None:
    tensor = torch.arange(6.0)
    write_tensors(tmp_path / "f", {"a": tensor, "b": tensor, "c": tensor.view(2, 3).t()}, {})
    tensors, _ = room.read_tensors(tmp_path / "f")
    assert torch.equal(tensors["a"], tensors["b"])
    assert torch.equal(tensors["c"], tensor.view(2, 3).t())


def test_other_weights_are_refused(tmp_path: Path) -> None:
    model, optimiser = trained()
    write_state(tmp_path / "last", State(), model, optimiser, None)
    other = nn.Sequential(nn.Linear(3, 5))
    with pytest.raises(MienError, match="holds the weights of another model"):
        read_state(tmp_path / "last", other, torch.optim.AdamW(parameter_groups(other, 0.1)))


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100])
def test_no_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last").write_bytes(content)
    with pytest.raises(MienError, match="cannot be read"):
        peek_state(tmp_path / "last")


def test_weights_that_are_no_checkpoint(tmp_path: Path) -> None:
    write_tensors(tmp_path / "weights", {"a": torch.ones(1)}, {"format": "pt"})
    with pytest.raises(MienError, match="is not a training checkpoint"):
        peek_state(tmp_path / "weights")
