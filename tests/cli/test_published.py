"""``mien predict --model viper-va``: explained, asked, fetched by commit, converted, extracted, predicted; offline."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from tests.extraction import checkpoints
from torch import Tensor, nn

from mien.checkpoints.bundle import load
from mien.checkpoints.convert.base import get_converter
from mien.data.manifest import Manifest
from mien.models import create_encoder
from mien.tasks import create_task

Here = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def hub_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub and a cache of their own for every test."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIEN_HUB", str(tmp_path / "hub"))


def pickled(state: dict[str, Tensor]) -> nn.Module:
    """A module with the published names, made of classes that published files may name."""
    root = nn.ModuleList()
    for name, value in state.items():
        *modules, leaf = name.split(".")
        at: nn.Module = root
        for part in modules:
            if part not in dict(at.named_children()):
                at.add_module(part, nn.ModuleList())
            at = at.get_submodule(part)
        at.register_parameter(leaf, nn.Parameter(value))
    return root


def imitated_hub(folder: Path) -> None:
    """The three repositories that ViPER-VA takes, with tiny weights."""
    made = checkpoints.make(folder / "made")
    names = {"vit": "google/vit-base-patch16-224-in21k", "wavlm": "microsoft/wavlm-base-plus-sv"}
    for name, repository in names.items():
        (folder / repository).parent.mkdir(parents=True)
        made[name].rename(folder / repository)
    (folder / names["vit"] / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    converter = get_converter("viper")
    sizes = {"num_latents": 4, "d_latents": 16, "num_self_attends_per_block": 1}
    plan = converter.plan_arguments({"modalities": "VA", **sizes})
    assert plan.task is not None
    torch.manual_seed(0)
    model = create_task(plan.task).make_model(create_encoder(plan.model, **plan.arguments))
    (folder / "VaianiLorenzo/ViPER-VA").mkdir(parents=True)
    state = converter.to_published(model.state_dict(), plan)
    torch.save(pickled(state), folder / "VaianiLorenzo/ViPER-VA/perceiver_6.model")


def test_every_step_against_a_folder_that_imitates_the_hub(
    tiny_corpus: Manifest, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    imitated_hub(tmp_path / "hub")
    video = tiny_corpus.row(tiny_corpus.ids[0]).path
    predict = ("predict", str(video), "--model", "viper-va", "--csv", "--out", "results")

    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, _, err = here(*predict)
    assert code == 2
    assert "call again with --yes" in err
    assert "VaianiLorenzo/ViPER-VA" in err
    assert "licence apache-2.0" in err
    assert "none stated" in err
    assert " MB" in err
    assert not (tmp_path / "cache" / "hub").exists()

    code, _, err = here(*predict, "--yes")
    assert code == 0, err
    table = pd.read_csv(tmp_path / "results" / f"{video.stem}.csv")
    assert {"Adoration", "Empathic-Pain", "Surprise"} <= set(table.columns)
    assert table["used"].tolist() == ["visual+audio"]
    assert table[["Adoration", "Fear"]].notna().all(axis=None)
    told = load(tmp_path / "cache/published/viper-va").specification.inputs.streams
    assert told[0].revision.startswith("google/vit-base-patch16-224-in21k@")
    assert len(told[0].revision.split("@")[1]) == 40

    monkeypatch.setenv("MIEN_HUB", str(tmp_path / "gone"))  # what is here is not looked up again
    code, _, err = here(*predict)
    assert (code, err) == (0, "")


def test_without_a_network_it_says_so_in_one_line(
    tiny_corpus: Manifest, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.delenv("MIEN_HUB")
    library = SimpleNamespace(HfApi=lambda: SimpleNamespace(model_info=unreachable))
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    video = tiny_corpus.row(tiny_corpus.ids[0]).path
    code, out, err = here("predict", str(video), "--model", "viper-va", "--yes")
    assert code == 1
    assert out == ""
    assert err.strip().splitlines() == [
        "mien: VaianiLorenzo/ViPER-VA cannot be looked up, is there a network? (Name or service not known)"
    ]


def test_trained_models_predict_from_the_streams_they_were_told(
    tiny_corpus: Manifest, tmp_path: Path, here: Here
) -> None:
    from tests.cli.test_extract import recipe

    manifest, store = tiny_corpus.root / "manifest.csv", tmp_path / "s.safetensors"
    here("extract", str(manifest), "--features", "audio=mfcc", "--out", str(store))
    (tmp_path / "recipe.json").write_text(json.dumps(recipe(manifest, store, {"audio": 40})))
    (tmp_path / "recipe.json").rename(tmp_path / "recipe.yaml")
    code, _, err = here("train", "recipe.yaml", "--run", "run")
    assert code == 0, err
    video = tiny_corpus.row(tiny_corpus.ids[0]).path
    code, _, err = here("predict", str(video), "--model", "run", "--out", "results")
    assert code == 0, err
    table = pd.read_csv(tmp_path / "results" / f"{video.stem}.csv")
    assert table[["valence", "arousal"]].notna().all(axis=None)
    assert table["used"].tolist() == ["audio"]
