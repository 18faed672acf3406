"""How MAE-DFER-CA's cases are run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.parity.collect import Case
from tests.parity.compare import FORWARD
from tests.parity.detweights import input_for
from tests.parity.running import (
    build,
    compare_all,
    compare_layers,
    compare_output,
    compare_supervised,
    compare_training_mode,
    filled,
    watch,
)
from torch import Tensor

from mien.checkpoints.convert.base import get_converter
from mien.models.motion import MotionEncoder, motion_picture

CONVERTER = get_converter("maedfer_ca")
KWARGS = {
    "registered_name": "vit_base_dim512_no_depth_patch16_160",
    "num_classes": 7,
    "depth": 16,
    "attn_type": "local_global",
    "lg_region_size": (2, 5, 10),
    "lg_classify_token_type": "region",
}


def run(case: Case) -> None:
    if case.name == "layer_decay":
        layer_decay(case.data)
    elif case.data.get("kind") == "finetune":
        # what torchvision's resizing did by default is told by the name of the case alone
        finetuned(case.data, antialias="antialias" in case.name)
    else:
        pytest.fail(f"no way to run {case}")


def finetuned(data: dict[str, Any], antialias: bool) -> None:
    plan = CONVERTER.plan_arguments({"variant": data["variant"], "antialias": antialias} | data["kwargs"])
    model = filled(CONVERTER, plan, data)
    if "n_params_in_published_log" in data:
        assert (data["n_params"] == data["n_params_in_published_log"]) == data["n_params_match"]
    video = input_for(data["input_case"], data["input_shape"])
    seen = watch_motion(model.encoder)
    with torch.inference_mode():
        output = model({"video": video})
        seen["LGI-Former pooled feature (B,512)"] = model.encoder.encoder.forward_features({"video": video}).pooled
        seen["fused feature entering the head"] = model.encoder.forward_features({"video": video}).pooled
        seen["motion image = temporal mean minus first frame (B,3,160,160)"] = motion_picture(video)
    compare_all(data["intermediates"], seen, FORWARD)
    compare_output(output, data)
    if "training" in data:
        compare_supervised(model, CONVERTER, plan, video, data["training"])
    if "train_mode_forward" in data:
        compare_training_mode(model, CONVERTER, plan, video, data["train_mode_forward"])


def watch_motion(encoder: MotionEncoder) -> dict[str, Tensor]:
    """The branch's intermediates under the names that the files use."""
    branch = encoder.motion
    seen = watch(
        {
            "motion stem output (B,180,80,80)": branch.stem,
            "motion feature before ReLU (B,512)": branch.project,
        }
    )
    for i, stage in enumerate(branch.stages, start=1):
        stage.register_forward_hook(lambda _m, _i, output, i=i: seen.update(stage_outputs(i, *output)))
    if branch.position is not None:
        branch.position.norm.register_forward_hook(
            lambda _m, _i, output: seen.__setitem__("position branch tokens (B,100,512)", output)
        )
    return seen


def stage_outputs(i: int, features: Tensor, attention: Tensor) -> dict[str, Tensor]:
    def size(tensor: Tensor) -> str:
        return ",".join(map(str, tensor.shape[1:]))

    return {
        f"CA layer{i} features (B,{size(features)})": features,
        f"CA layer{i} attention map (B,{size(attention)})": attention,
    }


def layer_decay(data: dict[str, Any]) -> None:
    """Rate 0.75 and weight decay 0.05, as in the published scripts."""
    for variant, parameters in data.items():
        plan = CONVERTER.plan_arguments(KWARGS | {"variant": variant})
        with torch.device("meta"):
            model = build(plan)
        compare_layers(model, CONVERTER, plan, parameters, 0.75, 0.05)
