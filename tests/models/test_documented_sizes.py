"""Every count of parameters that a page of a system states is recounted; a figure that nobody counts fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mien.models import default_inputs
from mien.models.specification import TaskConfig
from mien.pretext import create_pretext
from mien.tasks import create_model
from mien.training.recipe import load_recipe

PAGES = Path(__file__).parent.parent.parent / "docs/systems"
FUSIONS = ("late_transformer", "intermediate_transformer", "intermediate_attention")
VARIANTS = ("add", "add_4x5x10", "add_pos", "cat")
STREAMS = ("v", "va", "vf", "vt", "vat", "vaf", "vtf", "vatf")


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def classes(number: int) -> TaskConfig:
    return TaskConfig(kind="classification", outputs=tuple(f"class {index}" for index in range(number)))


def size(name: str, number: int, **arguments: Any) -> int:
    return count(create_model(name, classes(number), **arguments))


def pretraining(recipe: str) -> int:
    loaded = load_recipe(recipe)
    assert loaded.pretext is not None
    video = default_inputs(loaded.model.name).video
    assert video is not None
    options = loaded.pretext.options
    return count(create_pretext(loaded.pretext.kind, loaded.model.name, loaded.model.arguments, video, options))


def avfusion() -> Mapping[str, int]:
    """As published: no learned steps, and a classifier in each branch that nothing reads."""
    sizes = {name: size(f"avfusion_{name}", 8) for name in (*FUSIONS, "video_cnn", "audio_cnn")}
    published = {f"published {name}": size(f"avfusion_{name}", 8, absent="zeros", spare_classes=8) for name in FUSIONS}
    alone = {f"published {name}": size(f"avfusion_{name}", 8, absent="zeros") for name in ("video_cnn", "audio_cnn")}
    faces = {"efficientface": size("efficientface", 8), "its published file": size("efficientface", 7)}
    spare = size("avfusion_late_transformer", 8, absent="zeros", spare_classes=8)
    spare -= size("avfusion_late_transformer", 8, absent="zeros")
    return {**sizes, **published, **alone, **faces, "logmel_cnn": size("logmel_cnn", 8), "spare": spare // 2}


def maedfer_ca() -> Mapping[str, int]:
    """Published files hold tensors that nothing reads."""
    published = {name: size(f"maedfer_ca_{name}", 7, spare=True) for name in VARIANTS}
    spare = {name: published[name] - size(f"maedfer_ca_{name}", 7) for name in VARIANTS}
    assert spare["add"] == spare["cat"] == spare["add_4x5x10"]
    return {**published, "spare": spare["add"], "more with positions": spare["add_pos"] - spare["add"]}


def vaerr() -> Mapping[str, int]:
    values = ("arousal", "valence")
    task = TaskConfig(kind="binned", outputs=values, level="frame", options={"spare": True})
    return {"whole": count(create_model("vaerr_resnet18", task))}


def family(name: str, *sizes: str) -> Mapping[str, int]:
    named = {one: size(f"{name}_{one}", 7) for one in sizes}
    return {**named, "pretraining": pretraining(f"{name}/pretrain_voxceleb2")}


COUNTED: Mapping[str, Callable[[], Mapping[str, int]]] = {
    "avfusion": avfusion,
    "maedfer": lambda: family("maedfer", "base"),
    "maedfer_ca": maedfer_ca,
    "svfap": lambda: family("svfap", "base", "small"),
    "vaerr": vaerr,
    "videomae": lambda: {one: size(f"videomae_{one}", 400) for one in ("small", "base", "large", "huge")},
    "viper": lambda: {one: size(f"viper_{one}", 7) for one in STREAMS},
}
# other things than parameters: clips of DFEW and FERV39k, frames of an hour
OTHER = {"maedfer": {"2,341"}, "maedfer_ca": {"7,847"}, "vaerr": {"54,000"}}


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.md")))
def test_sizes_of_models_on_their_pages(page: str) -> None:
    stated = set(re.findall(r"\b\d{1,3}(?:,\d{3})+\b", (PAGES / f"{page}.md").read_text())) - OTHER.get(page, set())
    with torch.device("meta"):
        counted = COUNTED[page]()
    assert stated == {f"{number:,}" for number in counted.values()}
